"""Who somebody is: users, their e-mail addresses and passwords, and what can be wrong with them.

Not the tokens that prove it: `tokens.py`.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DISPLAY_NAME_MOST = 100
EMAIL_LEAST = 3
EMAIL_MOST = 254

LOCAL_USER_EMAIL = "local@parley.localhost"
LOCAL_USER_NAME = "Local user"

# One `@` with something on both sides, and nothing that does not print. Whether the address receives mail is not known
# until it does, so there is no finer rule.
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


class Role(StrEnum):
    """What a user is to the installation."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True)
class User:
    """A person who signs in."""

    user_id: str
    email: str
    """Of a foreign user what the identity provider told, which may be nothing."""
    display_name: str
    create_time: datetime
    role: Role = Role.USER
    disable_time: datetime | None = None
    """Since when nothing of the user's is let in; None while it is."""
    issuer: str = ""
    """The identity provider that the user comes from; empty for one who signed up here."""


@dataclass(frozen=True)
class Account:
    """A user with what is needed to sign in."""

    user: User
    password_hash: str


class IdentityError(Exception):
    """What can go wrong in identity; each kind is a class of its own."""


class EmailTakenError(IdentityError):
    """An account with this address exists."""


class CredentialsWrongError(IdentityError):
    """The address or the password is wrong. Does not tell which."""


class SignUpClosedError(IdentityError):
    """The operator lets nobody make an account."""


class UserDisabledError(IdentityError):
    """An admin has disabled the user."""


class OwnAccountError(IdentityError):
    """Admins do this to others only: one who is left can undo it."""


class UserNotFoundError(IdentityError):
    """There is no such user."""


class SignInsThrottledError(IdentityError):
    """Too many sign-ins have failed. Tells nothing of the account."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("too many failed sign-ins")
        self.wait_seconds = wait_seconds


class UserUnknownError(IdentityError):
    """The token is good and its user is not in this database (any more)."""


def new_user_id() -> str:
    """A new name for a user: `usr_` and 32 hexadecimal digits."""
    return f"usr_{uuid.uuid4().hex}"


def normalize_email(email: str) -> str:
    """The one form in which an address is stored and looked up: NFKC, lower case.

    NFKC makes what looks alike by construction (full-width letters, ligatures) the same address, so that nobody can take
    a second account whose address prints like another's. White space is not removed: an address that has some is wrong.
    """
    # Lower case can undo the normal form (`İ`), hence the second pass.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).lower())


def is_email(email: str) -> bool:
    """Whether a normalized address is one that an account may have."""
    return EMAIL_LEAST <= len(email) <= EMAIL_MOST and email.isprintable() and _EMAIL.fullmatch(email) is not None


def normalize_password(password: str) -> str:
    """The form in which a password is hashed: NFC, because keyboards differ in how they send `é` (RFC 8265 section 4)."""
    return unicodedata.normalize("NFC", password)


def display_name_for(display_name: str, email: str) -> str:
    """What the user is called: the given name without the white space around it, else the part of the e-mail before `@`."""
    return display_name.strip() or email.partition("@")[0][:DISPLAY_NAME_MOST]
