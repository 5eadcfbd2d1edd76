"""Feature flags: what is switched on, and for whom. The evaluation is a pure function of the flag and the user's id.

Other programs can compute the same: `bucket_of` says how, and its tests have values to compare with.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")
NAME_WORDS = "1 to 64 of `a-z 0-9 - _ .`, the first one a letter"
ALL_BASIS_POINTS = 10_000
"""Everybody."""
DESCRIPTION_MOST = 500
VALUE_MOST = 200
USERS_MOST = 100
USER_ID_MOST = 100
MOST_FLAGS = 200

_STATE = re.compile(r"on|off|\d{1,3}(?:\.\d{1,2})?")


class FlagReason(StrEnum):
    """Why a flag is on or off for a user."""

    DISABLED = "disabled"
    USER_OFF = "user_off"
    USER_ON = "user_on"
    IN_ROLLOUT = "in_rollout"
    OUT_OF_ROLLOUT = "out_of_rollout"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as it is set."""

    name: str
    description: str = ""
    enabled: bool = False
    rollout_basis_points: int = ALL_BASIS_POINTS
    """For which part of the users, in hundredths of a percent."""
    users_on: tuple[str, ...] = ()
    users_off: tuple[str, ...] = ()
    value: str = ""
    """What programs are told beside on."""
    revision: int = 0
    """Of all flags, when this one last changed. 0 while only the settings have it."""
    create_time: datetime | None = None
    update_time: datetime | None = None
    """Both are None while only the settings have it."""

    def says_the_same_as(self, other: Flag) -> bool:
        """Whether the two differ in nothing that somebody sets."""
        bookkeeping = {"revision": 0, "create_time": None, "update_time": None}
        return replace(self, **bookkeeping) == replace(other, **bookkeeping)  # type: ignore[arg-type] # as the fields are


@dataclass(frozen=True, slots=True)
class EvaluatedFlag:
    """What a flag is for one user."""

    name: str
    enabled: bool
    value: str
    reason: FlagReason
    revision: int

    @property
    def seen(self) -> tuple[str, bool, str, FlagReason]:
        """What its user sees of it. A flag can change without."""
        return self.name, self.enabled, self.value, self.reason


@dataclass(frozen=True, slots=True)
class FlagSet:
    """All flags at one moment."""

    revision: int
    """Grows with every change. 0 before the first."""
    flags: tuple[Flag, ...]
    """By name."""

    def over(self, defaults: Mapping[str, Flag]) -> FlagSet:
        """With the settings' flags where these have none of the name."""
        all_flags = {**defaults, **{flag.name: flag for flag in self.flags}}
        return FlagSet(self.revision, tuple(all_flags[name] for name in sorted(all_flags)))

    def for_user(self, user_id: str) -> tuple[EvaluatedFlag, ...]:
        """What each is for a user, by name."""
        return tuple(evaluate(flag, user_id) for flag in self.flags)


class FlagRevisionError(Exception):
    """The flag is not in the revision that the caller knows."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the flag is in revision {revision}")
        self.revision = revision
        """The one that it is in; 0 when it is not set."""


class TooManyFlagsError(Exception):
    """There are as many flags as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many flags")
        self.limit = limit


def bucket_of(name: str, user_id: str) -> int:
    """The user's place in the rollout of a flag, 0 to 9,999. The flag is on below its basis points.

    The first four bytes of the SHA-256 of `<name>:<user id>` in UTF-8, most significant first, times 10,000, divided by 2 to the 32nd,
    rounded down: doubles hold all of it exactly.
    """
    digest = hashlib.sha256(f"{name}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") * ALL_BASIS_POINTS >> 32


def evaluate(flag: Flag, user_id: str) -> EvaluatedFlag:
    """What a flag is for a user."""
    reason = _reason(flag, user_id)
    enabled = reason in {FlagReason.USER_ON, FlagReason.IN_ROLLOUT}
    return EvaluatedFlag(flag.name, enabled, flag.value if enabled else "", reason, flag.revision)


def _reason(flag: Flag, user_id: str) -> FlagReason:
    if not flag.enabled:
        return FlagReason.DISABLED
    if user_id in flag.users_off:
        return FlagReason.USER_OFF
    if user_id in flag.users_on:
        return FlagReason.USER_ON
    if bucket_of(flag.name, user_id) < flag.rollout_basis_points:
        return FlagReason.IN_ROLLOUT
    return FlagReason.OUT_OF_ROLLOUT


def flags_of_settings(text: str) -> dict[str, Flag]:
    """The flags of a setting like `new-editor=on, search-v2=12.5:fast, old=off`: on, off or a percentage, and a value after a colon.

    Raises ValueError, in words for the operator.
    """
    flags = [_flag_of_settings(entry.strip()) for entry in text.split(",") if entry.strip()]
    by_name = {flag.name: flag for flag in flags}
    if len(by_name) < len(flags):
        raise ValueError(f"names {_twice(flag.name for flag in flags)} twice")
    if len(flags) > MOST_FLAGS:
        raise ValueError(f"names {len(flags)} flags; at most {MOST_FLAGS} may be")
    return by_name


def _flag_of_settings(entry: str) -> Flag:
    name, _, setting = (part.strip() for part in entry.partition("="))
    if not NAME.fullmatch(name):
        raise ValueError(f"names a flag {name[:80]!r}: a name is {NAME_WORDS}")
    state, _, value = (part.strip() for part in setting.partition(":"))
    if not _STATE.fullmatch(state) or (state[0].isdigit() and Decimal(state) > 100):
        raise ValueError(f"must say of {name}: on, off, or a percentage from 0 to 100 with at most two decimals")
    if len(value) > VALUE_MOST or not value.isprintable():
        raise ValueError(f"gives {name} a value that is longer than {VALUE_MOST} characters, or not printable")
    rollout = int(Decimal(state) * 100) if state[0].isdigit() else ALL_BASIS_POINTS
    return Flag(name, enabled=state != "off", rollout_basis_points=rollout, value=value)


def _twice(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value] # add gives None
