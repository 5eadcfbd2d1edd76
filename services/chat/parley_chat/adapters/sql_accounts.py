"""Accounts in the SQL database."""

from __future__ import annotations

from typing import Any

from parley_shared.sql import Database
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from parley_chat.adapters.sql_schema import users
from parley_chat.domain.accounts import Account, EmailTakenError, User

_USER = (users.c.user_id, users.c.email, users.c.display_name, users.c.create_time)


class SqlAccounts:
    """The port `Accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: Account) -> None:
        user = account.user
        statement = insert(users).values(
            user_id=user.user_id,
            email=user.email,
            display_name=user.display_name,
            password_hash=account.password_hash,
            create_time=user.create_time,
        )
        try:
            async with self._database.write() as connection:
                await connection.execute(statement)
        except IntegrityError:
            # The database's own words hold the address: they end here. The id is random, so it was the address.
            raise EmailTakenError from None

    async def by_email(self, email: str) -> Account | None:
        statement = select(*_USER, users.c.password_hash).where(users.c.email == email)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else Account(_user(row), row.password_hash)

    async def user(self, user_id: str) -> User | None:
        statement = select(*_USER).where(users.c.user_id == user_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else _user(row)

    async def set_password_hash(self, user_id: str, password_hash: str) -> None:
        statement = update(users).where(users.c.user_id == user_id).values(password_hash=password_hash)
        async with self._database.write() as connection:
            await connection.execute(statement)


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(row.user_id, row.email, row.display_name, row.create_time)
