"""What a token of another identity provider means here: which user, which scopes, which role. Not how it is verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parley_chat.domain.accounts import DISPLAY_NAME_MOST, Role, is_email, normalize_email
from parley_chat.domain.tokens import ADMIN_SCOPES, USER_SCOPES

MOST_SUBJECT = 255
"""Characters of a subject (OpenID Connect Core, section 2)."""


@dataclass(frozen=True)
class ForeignRules:
    """What the operator says of a provider's claims."""

    name: str
    issuer: str
    scopes_claim: str = ""
    scopes: Mapping[str, tuple[str, ...]] | None = None
    role_claim: str = ""
    admins: frozenset[str] = frozenset()


@dataclass(frozen=True)
class VerifiedToken:
    """What a token says whose signature, issuer, audience and times are good."""

    rules: ForeignRules
    claims: Mapping[str, Any]
    expire_time: datetime
    """When it ends, the difference of the clocks included."""


@dataclass(frozen=True)
class ForeignUser:
    """Whom it stands for."""

    issuer: str
    subject: str
    email: str
    """As the provider told it; empty when it did not, or what it told is none."""
    display_name: str
    role: Role | None
    """None where the provider is not asked for it."""


class ForeignTokenRefusedError(Exception):
    """The token is not one that is trusted. Tells nothing more."""


class ForeignTokenExpiredError(ForeignTokenRefusedError):
    """Its time is over; all else is good."""


class IssuerUnreachableError(Exception):
    """The provider's keys are not known, and cannot be fetched now."""


class IssuerNotFoundError(Exception):
    """The operator trusts no provider of this name."""


def foreign_user(token: VerifiedToken) -> ForeignUser:
    """Raises ForeignTokenRefusedError when the token names nobody."""
    claims, rules = token.claims, token.rules
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or len(subject) > MOST_SUBJECT or not subject.isprintable():
        raise ForeignTokenRefusedError
    email = _text(claims, "email")
    email = normalize_email(email) if is_email(normalize_email(email)) else ""
    name = _text(claims, "name") or _text(claims, "preferred_username") or email.partition("@")[0] or subject
    name = "".join(character for character in name if character.isprintable()).strip()[:DISPLAY_NAME_MOST]
    role = None
    if rules.role_claim:
        role = Role.ADMIN if rules.admins & _values(claims, rules.role_claim) else Role.USER
    return ForeignUser(rules.issuer, subject, email, name or "Somebody", role)


def scopes_of(token: VerifiedToken, role: Role) -> frozenset[str]:
    """What the token may be used for by a user of this role."""
    rules = token.rules
    mine = USER_SCOPES | ADMIN_SCOPES if role is Role.ADMIN else USER_SCOPES
    if not rules.scopes_claim:
        return mine
    values = _values(token.claims, rules.scopes_claim)
    if rules.scopes is None:
        return mine & values
    return mine & {scope for value in values for scope in rules.scopes.get(value, ())}


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value.strip() if isinstance(value, str) else ""


def _values(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The values of a claim: the texts of a list, or of a text with blanks between. A name with dots that is a claim is that claim."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list):
        return frozenset(each for each in value if isinstance(each, str))
    return frozenset()
