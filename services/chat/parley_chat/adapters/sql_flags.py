"""Feature flags in SQL. Whoever changes one has raised the revision of all first, and so holds off every other who would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_audit_rows import write_audit
from parley_chat.adapters.sql_events import record
from parley_chat.adapters.sql_flag_schema import flag_counter, flags
from parley_chat.domain.audit import AuditEntry
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_flag
from parley_chat.domain.flags import MOST_FLAGS, Flag, FlagRevisionError, FlagSet, TooManyFlagsError


class _NothingToDoError(Exception):
    """The flag is as it shall be: the transaction is rolled back, and the revision stays."""

    def __init__(self, flag: Flag) -> None:
        self.flag = flag


class SqlFlags:
    """The port `FlagStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        """Reads the counter."""
        async with self._database.read() as connection:
            return int(await connection.scalar(select(flag_counter.c.revision)) or 0)

    async def all(self) -> FlagSet:
        """Reads all rows, and the counter at the same moment."""
        async with self._database.read() as connection:
            revision = int(await connection.scalar(select(flag_counter.c.revision)) or 0)
            rows = await connection.execute(select(flags).order_by(flags.c.name))
            return FlagSet(revision, tuple(_flag(row) for row in rows))

    async def put(
        self,
        user_id: str,
        name: str,
        expected_revision: int | None,
        wish: Callable[[Flag | None], Flag],
        now: datetime,
        entry: AuditEntry | None = None,
    ) -> Flag:
        """Writes the row."""
        try:
            async with self._database.write() as connection:
                revision = await _raise_revision(connection)
                there = await _find(connection, name)
                wished = wish(there)
                if there is not None and there.says_the_same_as(wished):
                    raise _NothingToDoError(there)
                _check_revision(there, expected_revision)
                created = there.create_time if there else now
                flag = replace(wished, revision=revision, create_time=created, update_time=now)
                if there is None:
                    if int(await connection.scalar(select(func.count()).select_from(flags)) or 0) >= MOST_FLAGS:
                        raise TooManyFlagsError(MOST_FLAGS)
                    await connection.execute(insert(flags).values(_values(flag)))
                else:
                    await connection.execute(update(flags).where(flags.c.name == name).values(_values(flag)))
                action = Action.UPDATED if there else Action.CREATED
                await record(connection, user_id, [changed_flag(action, flag)], now)
                await write_audit(connection, entry)
        except _NothingToDoError as nothing:
            return nothing.flag
        return flag

    async def remove(
        self, user_id: str, name: str, expected_revision: int | None, now: datetime, entry: AuditEntry | None = None
    ) -> None:
        """Deletes the row."""
        async with self._database.write() as connection:
            await _raise_revision(connection)
            there = await _find(connection, name)
            if there is None:
                raise NotFoundError("flag")
            _check_revision(there, expected_revision)
            await connection.execute(delete(flags).where(flags.c.name == name))
            await record(connection, user_id, [Change(Action.DELETED, ResourceType.FLAG, name, None)], now)
            await write_audit(connection, entry)


async def _raise_revision(connection: AsyncConnection) -> int:
    raised = update(flag_counter).values(revision=flag_counter.c.revision + 1).returning(flag_counter.c.revision)
    return int((await connection.execute(raised)).scalar_one())


async def _find(connection: AsyncConnection, name: str) -> Flag | None:
    row = (await connection.execute(select(flags).where(flags.c.name == name))).one_or_none()
    return None if row is None else _flag(row)


def _check_revision(there: Flag | None, expected: int | None) -> None:
    revision = there.revision if there else 0
    if expected is not None and expected != revision:
        raise FlagRevisionError(revision)


def _values(flag: Flag) -> dict[str, Any]:
    return {**asdict(flag), "users_on": list(flag.users_on), "users_off": list(flag.users_off)}


def _flag(row: Row[Any]) -> Flag:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's name for it
    return Flag(**{**values, "users_on": tuple(row.users_on), "users_off": tuple(row.users_off)})
