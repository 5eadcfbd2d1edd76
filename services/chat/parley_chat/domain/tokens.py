"""The tokens that prove who somebody is: what they hold, how long they live, what they may be used for.

Not how they are signed or stored. Three kinds: access tokens (signed, short-lived, not stored), refresh tokens (opaque,
stored as a hash, one use each, in families that end together) and personal access tokens (signed, long-lived, stored by
name so that they can be listed and revoked).
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from parley_chat.domain.accounts import IdentityError

USER_SCOPES = frozenset(
    {
        "ai:read",
        "ai:write",
        "batches:read",
        "batches:write",
        "calendar:read",
        "calendar:write",
        "chat:read",
        "chat:write",
        "documents:read",
        "documents:write",
        "events:read",
        "identity:read",
        "identity:write",
        "projects:read",
        "projects:write",
        "recommendations:read",
        "recommendations:write",
        "scoring:read",
        "scoring:write",
        "system:read",
        "tasks:read",
        "tasks:write",
        "usage:read",
        "usage:write",
        "webhooks:read",
        "webhooks:write",
    }
)
"""What a user may do. A sign-in has them all; a personal access token some. `inference:invoke` is not among them: models
cost money, and chat is what counts it."""

ADMIN_SCOPES = frozenset({"flags:read", "flags:write", "users:read", "users:write"})
"""What an admin may do beside all of that: it is about everybody, and not about what the admin owns."""

SERVICE_SCOPES = frozenset({"inference:invoke", "documents:read", "documents:write", "index:read", "index:write"})
"""What chat may do at the other services in a user's name."""

FOUND_SCOPES = frozenset({"tasks:read", "calendar:read"})
"""What a token needs, all of it, for tasks and events to be among the passages that an answer rests on: they are found together."""

PERSONAL_TOKEN_PREFIX = "tok_"  # noqa: S105 - the beginning of a name, not a secret
PERSONAL_TOKENS_MOST = 1000
PERSONAL_TOKEN_DEFAULT_LIFE = timedelta(days=90)

_REFRESH_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Claims:
    """What a signed token says."""

    user_id: str
    token_id: str
    scopes: frozenset[str]
    issue_time: datetime
    expire_time: datetime
    acting_service: str = ""
    """The service that acts for the user (RFC 8693 `act`); empty in a user's own token."""


@dataclass(frozen=True)
class RefreshToken:
    """One refresh token as it is stored: by hash."""

    token_hash: str
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True)
class SignIn:
    """One sign-in: the family of all refresh tokens that came from it."""

    sign_in_id: str
    user_id: str
    create_time: datetime


@dataclass(frozen=True)
class TokenPair:
    """What a sign-in gives. The only value that holds the tokens themselves; never stored or logged."""

    access_token: str
    access_token_expire_time: datetime
    refresh_token: str
    refresh_token_expire_time: datetime

    def __repr__(self) -> str:
        return f"TokenPair([set], {self.access_token_expire_time}, [set], {self.refresh_token_expire_time})"


@dataclass(frozen=True)
class PersonalToken:
    """A personal access token as it is stored: everything but the token."""

    access_token_id: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    create_time: datetime
    expire_time: datetime
    revoke_time: datetime | None = None


@dataclass(frozen=True)
class PublicKey:
    """The public half of a signing key: a point on P-256, its coordinates in base64url without padding."""

    key_id: str
    x: str
    y: str

    def as_json_web_key(self) -> dict[str, str]:
        """The members of its JSON Web Key (RFC 7517, RFC 7518 section 6.2)."""
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": self.x,
            "y": self.y,
            "kid": self.key_id,
            "use": "sig",
            "alg": "ES256",
        }


class RefreshTokenRefusedError(IdentityError):
    """The refresh token is unknown, used before, over, or its sign-in has ended. Does not tell which."""


class ScopeUnknownError(IdentityError):
    """No user's token can have these scopes."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        super().__init__("unknown scopes")
        self.positions = positions
        """Where they stand in the list that was asked for, from 0."""


class ScopeExceededError(IdentityError):
    """The token that makes a token lacks a scope that the new one should have."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the token lacks {scope}")
        self.scope = scope


class PersonalTokenNotFoundError(IdentityError):
    """The user has no such personal access token."""


class TooManyPersonalTokensError(IdentityError):
    """The user has as many good personal access tokens as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} personal access tokens are good at once")
        self.limit = limit


def new_sign_in_id() -> str:
    """A new name for a sign-in: `sgn_` and 32 hexadecimal digits."""
    return f"sgn_{uuid.uuid4().hex}"


def new_access_token_id() -> str:
    """A new name for a short-lived access token; it is only ever read in logs."""
    return f"act_{uuid.uuid4().hex}"


def new_personal_token_id() -> str:
    """A new name for a personal access token: `tok_` and 32 hexadecimal digits."""
    return f"{PERSONAL_TOKEN_PREFIX}{uuid.uuid4().hex}"


def new_refresh_token() -> str:
    """A new refresh token: 256 random bits, 47 characters."""
    return f"prt_{secrets.token_urlsafe(_REFRESH_TOKEN_BYTES)}"


def refresh_token_hash(token: str) -> str:
    """What is stored of a refresh token. A fast hash is enough: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def expire_after(now: datetime, seconds: float) -> datetime:
    """The whole second in which a life of so many seconds ends: signed tokens count in whole seconds (RFC 7519)."""
    return (now + timedelta(seconds=seconds)).replace(microsecond=0)


def scopes_for_new_token(asked: Iterable[str], held: frozenset[str]) -> tuple[str, ...]:
    """The scopes of a new personal access token, in alphabetical order: those asked for, or all that the maker holds.

    Those of admins only when they are named: a token that asks for nothing in particular is for every day.
    Raises ScopeUnknownError, or ScopeExceededError when the maker holds less than is asked for.
    """
    asked = tuple(asked)
    unknown = tuple(place for place, scope in enumerate(asked) if scope not in USER_SCOPES | ADMIN_SCOPES)
    if unknown:
        raise ScopeUnknownError(unknown)
    for scope in sorted(set(asked) - held):
        raise ScopeExceededError(scope)
    return tuple(sorted(set(asked) or held & USER_SCOPES))
