"""Sign-ins and their refresh tokens in the SQL database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from parley_shared.sql import Database
from sqlalchemy import Insert, delete, exists, insert, select, update

from parley_chat.adapters.sql_audit_rows import write_audit
from parley_chat.adapters.sql_schema import refresh_tokens, sign_ins
from parley_chat.domain.audit import AuditEntry
from parley_chat.domain.tokens import RefreshToken, SignIn


class SqlSignIns:
    """The port `SignIns`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, sign_in: SignIn, first: RefreshToken, entry: AuditEntry | None = None) -> None:
        # Whole families only: while one lives, its used tokens stay, so that a stolen one is known when it comes back.
        some_token_lives = exists().where(
            refresh_tokens.c.sign_in_id == sign_ins.c.sign_in_id, refresh_tokens.c.expire_time > first.create_time
        )
        forget = delete(sign_ins).where(sign_ins.c.user_id == sign_in.user_id, ~some_token_lives)
        add = insert(sign_ins).values(
            sign_in_id=sign_in.sign_in_id, user_id=sign_in.user_id, create_time=sign_in.create_time
        )
        async with self._database.write() as connection:
            await connection.execute(forget)
            await connection.execute(add)
            await connection.execute(_insert(first, sign_in.sign_in_id))
            await write_audit(connection, entry)

    async def rotate(
        self, token_hash: str, following: RefreshToken, on_reuse: Callable[[str], AuditEntry] | None = None
    ) -> str | None:
        now = following.create_time
        find = (
            select(
                refresh_tokens.c.sign_in_id,
                refresh_tokens.c.expire_time,
                refresh_tokens.c.use_time,
                sign_ins.c.user_id,
                sign_ins.c.end_time,
            )
            .join(sign_ins)
            .where(refresh_tokens.c.token_hash == token_hash)
            # Two users of one token queue here. SQLite has no row locks and needs none: its write transactions queue.
            .with_for_update()
        )
        async with self._database.write() as connection:
            row = (await connection.execute(find)).one_or_none()
            if row is None or row.end_time is not None:
                return None
            if row.use_time is not None:
                # One of the two who used it has stolen it.
                await connection.execute(
                    update(sign_ins).where(sign_ins.c.sign_in_id == row.sign_in_id).values(end_time=now)
                )
                await write_audit(connection, on_reuse(row.user_id) if on_reuse else None)
                return None
            if row.expire_time <= now:
                return None
            await connection.execute(
                update(refresh_tokens).where(refresh_tokens.c.token_hash == token_hash).values(use_time=now)
            )
            await connection.execute(_insert(following, row.sign_in_id))
            user_id: str = row.user_id
            return user_id

    async def end(self, token_hash: str, now: datetime, on_end: Callable[[str], AuditEntry] | None = None) -> None:
        family = select(refresh_tokens.c.sign_in_id).where(refresh_tokens.c.token_hash == token_hash)
        statement = (
            update(sign_ins)
            .where(sign_ins.c.sign_in_id == family.scalar_subquery(), sign_ins.c.end_time.is_(None))
            .values(end_time=now)
            .returning(sign_ins.c.user_id)
        )
        async with self._database.write() as connection:
            user_id = (await connection.execute(statement)).scalar_one_or_none()
            if user_id is not None and on_end is not None:
                await write_audit(connection, on_end(user_id))


def _insert(token: RefreshToken, sign_in_id: str) -> Insert:
    return insert(refresh_tokens).values(
        token_hash=token.token_hash,
        sign_in_id=sign_in_id,
        create_time=token.create_time,
        expire_time=token.expire_time,
    )
