"""Users in chat's database, for tests of what belongs to users."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.domain.accounts import Account, User, new_user_id
from parley_shared.sql import Database


async def new_user(database: Database) -> str:
    """Adds a user whom nobody knows and gives the id."""
    user = User(new_user_id(), f"{uuid4().hex}@example.org", "Somebody", datetime(2026, 1, 1, tzinfo=UTC))
    await SqlAccounts(database).add(Account(user, "$argon2id$hash"))
    return user.user_id
