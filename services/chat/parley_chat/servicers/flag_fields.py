"""Flags between the contract and the domain: bounds, packing and unpacking. The bounds are the contract's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from parley.flags.v1 import flag_pb2
from parley.flags.v1 import flag_service_pb2 as pb
from parley_shared.validation import Violations

from parley_chat.domain.flags import (
    ALL_BASIS_POINTS,
    DESCRIPTION_MOST,
    NAME,
    NAME_WORDS,
    USER_ID_MOST,
    USERS_MOST,
    VALUE_MOST,
    EvaluatedFlag,
    Flag,
    FlagReason,
)

MOST_REVISION = 2**63 - 1

_CHANGEABLE = ("description", "enabled", "rollout_basis_points", "users_on", "users_off", "value")
_REASONS = {
    FlagReason.DISABLED: flag_pb2.FLAG_REASON_DISABLED,
    FlagReason.USER_OFF: flag_pb2.FLAG_REASON_USER_OFF,
    FlagReason.USER_ON: flag_pb2.FLAG_REASON_USER_ON,
    FlagReason.IN_ROLLOUT: flag_pb2.FLAG_REASON_IN_ROLLOUT,
    FlagReason.OUT_OF_ROLLOUT: flag_pb2.FLAG_REASON_OUT_OF_ROLLOUT,
}


def check_set(request: pb.SetFlagRequest) -> Callable[[Flag], Flag]:
    """Checks the request to make or change a flag, and gives what makes of a flag the one that it wants.

    That raises StatusError when a user would be in both lists.
    """
    violations = Violations()
    violations.pattern("name", request.name, NAME, NAME_WORDS)
    paths = frozenset(_CHANGEABLE)
    if request.HasField("update_mask"):
        paths = violations.changed_fields(request, _CHANGEABLE)
    violations.line("description", request.description, most=DESCRIPTION_MOST)
    violations.line("value", request.value, most=VALUE_MOST)
    if request.HasField("rollout_basis_points"):
        violations.integer("rollout_basis_points", request.rollout_basis_points, least=0, most=ALL_BASIS_POINTS)
    _users(violations, "users_on", request.users_on)
    _users(violations, "users_off", request.users_off)
    if request.HasField("expected_revision"):
        violations.integer("expected_revision", request.expected_revision, least=0, most=MOST_REVISION)
    violations.check()
    rollout = request.rollout_basis_points if request.HasField("rollout_basis_points") else ALL_BASIS_POINTS
    wanted: dict[str, Any] = {
        "description": request.description.strip(),
        "enabled": request.enabled,
        "rollout_basis_points": rollout,
        "users_on": tuple(dict.fromkeys(request.users_on)),
        "users_off": tuple(dict.fromkeys(request.users_off)),
        "value": request.value,
    }
    changes = {name: value for name, value in wanted.items() if name in paths}
    return lambda flag: _consistent(replace(flag, **changes))


def check_delete(request: pb.DeleteFlagRequest) -> None:
    """Checks the request to delete a flag."""
    violations = Violations()
    violations.pattern("name", request.name, NAME, NAME_WORDS)
    if request.HasField("expected_revision"):
        violations.integer("expected_revision", request.expected_revision, least=1, most=MOST_REVISION)
    violations.check()


def pack_flag(flag: Flag) -> flag_pb2.Flag:
    """Packs a flag as it is set."""
    stored = flag.create_time is not None
    packed = flag_pb2.Flag(
        name=flag.name,
        description=flag.description,
        enabled=flag.enabled,
        rollout_basis_points=flag.rollout_basis_points,
        users_on=flag.users_on,
        users_off=flag.users_off,
        value=flag.value,
        revision=flag.revision,
        origin=flag_pb2.FLAG_ORIGIN_STORED if stored else flag_pb2.FLAG_ORIGIN_SETTINGS,
    )
    if flag.create_time:
        packed.create_time.FromDatetime(flag.create_time)
    if flag.update_time:
        packed.update_time.FromDatetime(flag.update_time)
    return packed


def pack_evaluated(flag: EvaluatedFlag) -> flag_pb2.EvaluatedFlag:
    """Packs what a flag is for a user."""
    return flag_pb2.EvaluatedFlag(
        name=flag.name,
        enabled=flag.enabled,
        value=flag.value,
        reason=_REASONS[flag.reason],
        revision=flag.revision,
    )


def _users(violations: Violations, field: str, users: Sequence[str]) -> None:
    violations.count(field, users, most=USERS_MOST)
    for place, user_id in enumerate(users[:USERS_MOST]):
        violations.line(f"{field}[{place}]", user_id, least=1, most=USER_ID_MOST)


def _consistent(flag: Flag) -> Flag:
    """The flag. Raises StatusError when a user is in both lists, of which one may be from before."""
    both = [place for place, user_id in enumerate(flag.users_off) if user_id in flag.users_on]
    if both:
        violations = Violations()
        violations.add(f"users_off[{both[0]}]", "must not be one of `users_on`")
        violations.check()
    return flag
