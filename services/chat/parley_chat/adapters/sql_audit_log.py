"""The audit trail in the SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import Row, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_audit_rows import row_of, write_audit
from parley_chat.adapters.sql_audit_schema import audit_events
from parley_chat.domain.audit import (
    FOLDED_ADDRESSES_MOST,
    Actor,
    ActorKind,
    AuditEntry,
    AuditQuery,
    Deed,
    first_audit_event_id,
)

_table = audit_events.c


class SqlAuditLog:
    """The port `AuditLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            try:
                await self._write(entry)
            except IntegrityError:
                # Two were the first of a window at the same time: this one is the second.
                await self._write(entry)

    async def page(self, query: AuditQuery, *, limit: int, before: str) -> list[AuditEntry]:
        statement = select(audit_events).order_by(_table.audit_event_id.desc()).limit(limit)
        if before:
            statement = statement.where(_table.audit_event_id < before)
        if query.user_id is not None:
            statement = statement.where(_table.user_id == query.user_id)
        if query.actor_user_id:
            statement = statement.where(_table.actor_user_id == query.actor_user_id)
        if query.deeds:
            statement = statement.where(_table.deed.in_([deed.value for deed in query.deeds]))
        if query.start_time is not None:
            statement = statement.where(_table.last_time >= query.start_time)
        if query.end_time is not None:
            # The names are in the order of the times, and have an index.
            statement = statement.where(_table.audit_event_id < first_audit_event_id(query.end_time))
        async with self._database.read() as connection:
            return [_entry(row) for row in await connection.execute(statement)]

    async def forget(self, before: datetime, *, most: int) -> int:
        old = select(_table.audit_event_id).where(_table.last_time < before).limit(most)
        async with self._database.write() as connection:
            found = (await connection.execute(delete(audit_events).where(_table.audit_event_id.in_(old)))).rowcount
        return int(found)

    async def _write(self, entry: AuditEntry) -> None:
        async with self._database.write() as connection:
            window = entry.window_start
            if window is None:
                await write_audit(connection, entry)
            elif not await _fold(connection, entry, window):
                if entry.address and await _is_crowded(connection, entry, window):
                    entry = replace(entry, address="", user_agent="")
                    if await _fold(connection, entry, window):
                        return
                await connection.execute(insert(audit_events).values(row_of(entry, _fold_key(entry, window))))


def _fold_key(entry: AuditEntry, window: datetime) -> str:
    return f"{entry.deed.value}|{entry.user_id}|{window.isoformat()}|{entry.address}"


async def _fold(connection: AsyncConnection, entry: AuditEntry, window: datetime) -> bool:
    """Counts the entry to the one of its window, if there is one."""
    newest = case((_table.last_time < entry.newest_time, entry.newest_time), else_=_table.last_time)
    change = (
        update(audit_events)
        .where(_table.fold_key == _fold_key(entry, window))
        .values(
            count=_table.count + entry.count, last_time=newest, user_agent=entry.user_agent, trace_id=entry.trace_id
        )
    )
    return (await connection.execute(change)).rowcount > 0


async def _is_crowded(connection: AsyncConnection, entry: AuditEntry, window: datetime) -> bool:
    """Whether as many addresses as may have entries of their own in the window."""
    alike = select(func.count()).where(
        _table.user_id == entry.user_id,
        _table.audit_event_id >= first_audit_event_id(window),
        _table.deed == entry.deed.value,
    )
    return int((await connection.execute(alike)).scalar_one()) >= FOLDED_ADDRESSES_MOST


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        audit_event_id=row.audit_event_id,
        user_id=row.user_id,
        deed=Deed(row.deed),
        create_time=row.create_time,
        actor=Actor(ActorKind(row.actor_kind), row.actor_user_id, row.actor_name, row.actor_token_id),
        address=row.address,
        user_agent=row.user_agent,
        target=row.target,
        trace_id=row.trace_id,
        # `count` is a method of every row.
        count=row._mapping["count"],  # noqa: SLF001 - SQLAlchemy's name for it
        last_time=row.last_time,
    )
