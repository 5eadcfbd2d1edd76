"""Personal access tokens in the SQL database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import Row, func, insert, select, tuple_, update

from parley_chat.adapters.sql_audit_rows import write_audit
from parley_chat.adapters.sql_schema import access_tokens, users
from parley_chat.domain.audit import AuditEntry
from parley_chat.domain.tokens import PersonalToken


class SqlPersonalTokens:
    """The port `PersonalTokens`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: PersonalToken, entry: AuditEntry | None = None) -> None:
        statement = insert(access_tokens).values(
            access_token_id=token.access_token_id,
            user_id=token.user_id,
            name=token.name,
            scopes=list(token.scopes),
            create_time=token.create_time,
            expire_time=token.expire_time,
            revoke_time=token.revoke_time,
        )
        async with self._database.write() as connection:
            await connection.execute(statement)
            await write_audit(connection, entry)

    async def count_good(self, user_id: str, now: datetime) -> int:
        statement = select(func.count()).where(
            access_tokens.c.user_id == user_id,
            access_tokens.c.revoke_time.is_(None),
            access_tokens.c.expire_time > now,
        )
        async with self._database.read() as connection:
            return (await connection.execute(statement)).scalar_one()

    async def page(self, user_id: str, *, limit: int, after: tuple[datetime, str] | None) -> list[PersonalToken]:
        newest_first = (access_tokens.c.create_time, access_tokens.c.access_token_id)
        statement = (
            select(access_tokens)
            .where(access_tokens.c.user_id == user_id)
            .order_by(*(column.desc() for column in newest_first))
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(*newest_first) < tuple_(*after))
        async with self._database.read() as connection:
            return [_token(row) for row in await connection.execute(statement)]

    async def revoke(
        self, user_id: str, access_token_id: str, now: datetime, entry: AuditEntry | None = None
    ) -> PersonalToken | None:
        mine = (access_tokens.c.access_token_id == access_token_id, access_tokens.c.user_id == user_id)
        find = select(access_tokens.c.revoke_time).where(*mine).with_for_update()
        statement = (
            update(access_tokens)
            .where(*mine)
            .values(revoke_time=func.coalesce(access_tokens.c.revoke_time, now))
            .returning(access_tokens)
        )
        async with self._database.write() as connection:
            before = (await connection.execute(find)).one_or_none()
            row = (await connection.execute(statement)).one_or_none()
            if before is not None and before.revoke_time is None:
                await write_audit(connection, entry)
        return None if row is None else _token(row)

    async def is_good(self, access_token_id: str) -> bool:
        statement = (
            select(access_tokens.c.revoke_time, users.c.disable_time)
            .join(users, users.c.user_id == access_tokens.c.user_id)
            .where(access_tokens.c.access_token_id == access_token_id)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return row is not None and row.revoke_time is None and row.disable_time is None


def _token(row: Row[*tuple[Any, ...]]) -> PersonalToken:
    return PersonalToken(
        access_token_id=row.access_token_id,
        user_id=row.user_id,
        name=row.name,
        scopes=tuple(row.scopes),
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
    )
