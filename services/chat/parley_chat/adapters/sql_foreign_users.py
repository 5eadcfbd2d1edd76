"""Users of other identity providers in the SQL database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from parley_shared.sql import Database
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from parley_chat.adapters.sql_accounts import USER_COLUMNS, to_user
from parley_chat.adapters.sql_audit_rows import write_audit
from parley_chat.adapters.sql_schema import users
from parley_chat.domain.accounts import Role, User, new_user_id
from parley_chat.domain.audit import AuditEntry, Deed
from parley_chat.domain.foreign_tokens import ForeignUser


class SqlForeignUsers:
    """The port `ForeignUsers`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure(
        self, foreign: ForeignUser, now: datetime, entry_of: Callable[[Deed, str], AuditEntry] | None = None
    ) -> User:
        user = await self._find(foreign)
        if user is None:
            user_id = new_user_id()
            add = insert(users).values(
                user_id=user_id,
                # The column holds one address each, and nobody can sign up with this one before: its name is random.
                email=f"{user_id}@foreign.invalid",
                display_name=foreign.display_name,
                password_hash="",
                create_time=now,
                role=(foreign.role or Role.USER).value,
                issuer=foreign.issuer,
                subject=foreign.subject,
                told_email=foreign.email or None,
            )
            try:
                async with self._database.write() as connection:
                    await connection.execute(add)
                    if entry_of is not None:
                        await write_audit(connection, entry_of(Deed.FOREIGN_USER_SEEN, user_id))
                        if foreign.role is Role.ADMIN:
                            await write_audit(connection, entry_of(Deed.ROLE_SET, user_id))
            except IntegrityError:
                # Seen twice in the same instant: whoever was first has made it.
                pass
            user = await self._find(foreign)
            if user is None:
                raise RuntimeError("a foreign user was deleted while it was being made")
        if foreign.role is not None and foreign.role is not user.role:
            mine = users.c.user_id == user.user_id
            change = update(users).where(mine).values(role=foreign.role.value)
            async with self._database.write() as connection:
                # Of two that see it at once one changes it.
                before = (await connection.execute(select(users.c.role).where(mine).with_for_update())).scalar_one()
                await connection.execute(change)
                # Read again: what SQLite returns of an update has not the address.
                row = (await connection.execute(select(*USER_COLUMNS).where(mine))).one()
                if before != row.role and entry_of is not None:
                    await write_audit(connection, entry_of(Deed.ROLE_SET, user.user_id))
            user = to_user(row)
        return user

    async def _find(self, foreign: ForeignUser) -> User | None:
        statement = select(*USER_COLUMNS).where(users.c.issuer == foreign.issuer, users.c.subject == foreign.subject)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else to_user(row)
