"""Where accounts are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from parley_chat.domain.accounts import Account, Role, User
from parley_chat.domain.audit import AuditEntry


class Accounts(Protocol):
    """Accounts by user id and by normalized e-mail address, each unique.

    An `entry` of the audit trail is stored with the change, if it is one.
    """

    async def add(self, account: Account, entry: AuditEntry | None = None) -> None:
        """Stores a new account. Raises EmailTakenError when its address has one, also when both are added at once."""

    async def by_email(self, email: str) -> Account | None:
        """The account of a normalized address."""

    async def user(self, user_id: str) -> User | None:
        """The user of this id."""

    async def page(self, *, query: str, limit: int, after: tuple[datetime, str] | None) -> list[User]:
        """Users with this in their address or name, newest first, at most `limit`, beginning after the one of this creation time and id."""

    async def set_role(self, user_id: str, role: Role, entry: AuditEntry | None = None) -> User | None:
        """Gives a user a role, and gives the user as it is then; None when there is no such user."""

    async def set_disabled(
        self, user_id: str, disable_time: datetime | None, entry: AuditEntry | None = None
    ) -> User | None:
        """Disables a user, whose first such time stays and whose sign-ins end, or enables it. None when there is no such user."""

    async def set_password_hash(self, user_id: str, password_hash: str) -> None:
        """Replaces the stored hash of a password. Does nothing when there is no such user."""
