"""Accounts in the SQL database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import Row, Update, case, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from parley_chat.adapters.sql_audit_rows import write_audit
from parley_chat.adapters.sql_schema import sign_ins, users
from parley_chat.domain.accounts import Account, EmailTakenError, Role, User
from parley_chat.domain.audit import AuditEntry

_SHOWN_EMAIL = case((users.c.issuer.is_(None), users.c.email), else_=func.coalesce(users.c.told_email, ""))
USER_COLUMNS = (
    users.c.user_id,
    _SHOWN_EMAIL.label("email"),
    users.c.display_name,
    users.c.create_time,
    users.c.role,
    users.c.disable_time,
    users.c.issuer,
)


class SqlAccounts:
    """The port `Accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: Account, entry: AuditEntry | None = None) -> None:
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
                await write_audit(connection, entry)
        except IntegrityError:
            # The database's own words hold the address: they end here. The id is random, so it was the address.
            raise EmailTakenError from None

    async def by_email(self, email: str) -> Account | None:
        statement = select(*USER_COLUMNS, users.c.password_hash).where(users.c.email == email, users.c.issuer.is_(None))
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else Account(to_user(row), row.password_hash)

    async def user(self, user_id: str) -> User | None:
        statement = select(*USER_COLUMNS).where(users.c.user_id == user_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else to_user(row)

    async def page(self, *, query: str, limit: int, after: tuple[datetime, str] | None) -> list[User]:
        newest_first = (users.c.create_time, users.c.user_id)
        statement = select(*USER_COLUMNS).order_by(*(column.desc() for column in newest_first)).limit(limit)
        if query:
            words = query.lower()
            statement = statement.where(
                or_(
                    func.lower(_SHOWN_EMAIL).contains(words, autoescape=True),
                    func.lower(users.c.display_name).contains(words, autoescape=True),
                )
            )
        if after is not None:
            statement = statement.where(tuple_(*newest_first) < tuple_(*after))
        async with self._database.read() as connection:
            return [to_user(row) for row in await connection.execute(statement)]

    async def set_role(self, user_id: str, role: Role, entry: AuditEntry | None = None) -> User | None:
        return await self._change(user_id, entry, update(users).values(role=role.value))

    async def set_disabled(
        self, user_id: str, disable_time: datetime | None, entry: AuditEntry | None = None
    ) -> User | None:
        if disable_time is None:
            return await self._change(user_id, entry, update(users).values(disable_time=None))
        # Its sign-ins end, so that nobody who had a token is back when the user is.
        end = update(sign_ins).where(sign_ins.c.user_id == user_id, sign_ins.c.end_time.is_(None))
        first = func.coalesce(users.c.disable_time, disable_time)
        disable = update(users).values(disable_time=first)
        return await self._change(user_id, entry, disable, end.values(end_time=disable_time))

    async def _change(self, user_id: str, entry: AuditEntry | None, change: Update, *also: Update) -> User | None:
        """Stores the entry when the user is another afterwards."""
        find = select(*USER_COLUMNS).where(users.c.user_id == user_id)
        async with self._database.write() as connection:
            before = (await connection.execute(find.with_for_update())).one_or_none()
            if before is None:
                return None
            for each in (change.where(users.c.user_id == user_id), *also):
                await connection.execute(each)
            # Read again: what SQLite returns of an update has not the address.
            changed = to_user((await connection.execute(find)).one())
            if changed != to_user(before):
                await write_audit(connection, entry)
        return changed

    async def set_password_hash(self, user_id: str, password_hash: str) -> None:
        statement = update(users).where(users.c.user_id == user_id).values(password_hash=password_hash)
        async with self._database.write() as connection:
            await connection.execute(statement)


def to_user(row: Row[*tuple[Any, ...]]) -> User:
    """Reads a row of what `USER_COLUMNS` asks for."""
    return User(
        row.user_id,
        row.email,
        row.display_name,
        row.create_time,
        Role(row.role),
        row.disable_time,
        row.issuer or "",
    )
