"""Where accounts are kept."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.accounts import Account, User


class Accounts(Protocol):
    """Accounts by user id and by normalized e-mail address, each unique."""

    async def add(self, account: Account) -> None:
        """Stores a new account. Raises EmailTakenError when its address has one, also when both are added at once."""

    async def by_email(self, email: str) -> Account | None:
        """The account of a normalized address."""

    async def user(self, user_id: str) -> User | None:
        """The user of this id."""

    async def set_password_hash(self, user_id: str, password_hash: str) -> None:
        """Replaces the stored hash of a password. Does nothing when there is no such user."""
