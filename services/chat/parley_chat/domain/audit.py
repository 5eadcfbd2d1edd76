"""What the audit trail holds: who did what with whose account, from where, and how it ended.

No entry holds a password, a token or an address of e-mail. Not the events of what users own, which are data: events.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

AUDIT_EVENT_PREFIX = "aud_"
TARGET_MOST = 2048
FOLDED_ADDRESSES_MOST = 20
"""Of so many addresses in one window an account has entries of their own; what comes from further ones is one entry together."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Deed(StrEnum):
    """What somebody did, or tried: in words that never change, because databases and logs hold them."""

    SIGNED_UP = "signed up"
    SIGNED_IN = "signed in"
    SIGN_IN_FAILED = "sign-in failed"
    SIGN_IN_HELD_BACK = "sign-in held back"
    SIGN_IN_REFUSED = "sign-in refused"
    SIGNED_OUT = "signed out"
    REFRESH_TOKEN_REUSED = "refresh token used twice"  # noqa: S105 - words, no secret
    FOREIGN_USER_SEEN = "foreign user seen for the first time"
    TOKEN_CREATED = "personal access token created"  # noqa: S105 - words, no secret
    TOKEN_REVOKED = "personal access token revoked"  # noqa: S105 - words, no secret
    ROLE_SET = "role set"
    USER_DISABLED = "user disabled"
    USER_ENABLED = "user enabled"
    FLAG_SET = "flag set"
    FLAG_DELETED = "flag deleted"
    SERVICE_ACTED = "service acted for user"


class Outcome(StrEnum):
    """How a deed ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"


class ActorKind(StrEnum):
    """What kind of somebody did it."""

    UNKNOWN = "unknown"
    """Nobody proved who they are."""
    USER = "user"
    ADMIN = "admin"
    SERVICE = "service"
    """One of Parley's, in a user's name."""
    OPERATOR = "operator"
    """At the machine."""
    ISSUER = "issuer"
    """An identity provider, by what its token says."""


FOLDING = {
    Deed.SIGN_IN_FAILED: timedelta(hours=1),
    Deed.SIGN_IN_HELD_BACK: timedelta(hours=1),
    Deed.SIGN_IN_REFUSED: timedelta(hours=1),
    Deed.SERVICE_ACTED: timedelta(days=1),
}
"""What anybody can do as often as they like: all of it for one account, from one address, within such a window is one entry."""

_OUTCOMES = {
    Deed.SIGN_IN_FAILED: Outcome.FAILED,
    Deed.SIGN_IN_HELD_BACK: Outcome.REFUSED,
    Deed.SIGN_IN_REFUSED: Outcome.REFUSED,
    Deed.REFRESH_TOKEN_REUSED: Outcome.REFUSED,
}


@dataclass(frozen=True)
class Actor:
    """Who did it."""

    kind: ActorKind
    user_id: str = ""
    name: str = ""
    """The service, or the URL of the identity provider."""
    token_id: str = ""
    """Of the token that it was done with."""


@dataclass(frozen=True)
class AuditEntry:
    """One deed, or several alike that are folded into one."""

    audit_event_id: str
    user_id: str
    """Whose account it is about; empty when it is about none that is known."""
    deed: Deed
    create_time: datetime
    actor: Actor
    address: str = ""
    user_agent: str = ""
    target: str = ""
    """What it was done with: the id of a token, a role, a flag, a service or the URL of a provider, as the deed has it."""
    trace_id: str = ""
    count: int = 1
    last_time: datetime = field(default=_EPOCH)
    """The last time; before `create_time` stands for it."""

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return _OUTCOMES.get(self.deed, Outcome.SUCCEEDED)

    @property
    def newest_time(self) -> datetime:
        """When it was last done."""
        return max(self.create_time, self.last_time)

    @property
    def window_start(self) -> datetime | None:
        """When the window began that it is folded in; None when it is an entry by itself."""
        window = FOLDING.get(self.deed)
        return None if window is None else self.create_time - (self.create_time - _EPOCH) % window

    def hidden_from(self, user_id: str) -> bool:
        """Whether this user must not see from where it was done: somebody else did it, with tokens and at places of their own."""
        return self.actor.user_id not in ("", user_id)


@dataclass(frozen=True)
class AuditQuery:
    """Which entries to list; None and empty are all of them."""

    user_id: str | None = None
    actor_user_id: str = ""
    deeds: tuple[Deed, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None


def new_audit_event_id(time: datetime) -> str:
    """A new name for an entry: `aud_` and 32 hexadecimal digits, greater for a later time."""
    return f"{first_audit_event_id(time)[:-16]}{secrets.token_hex(8)}"


def first_audit_event_id(time: datetime) -> str:
    """The least name of an entry of this time."""
    return f"{AUDIT_EVENT_PREFIX}{max(0, (time - _EPOCH) // _MICROSECOND):016x}{0:016x}"
