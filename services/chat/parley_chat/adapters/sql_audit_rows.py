"""Writes an entry of the audit trail within the transaction of what it tells."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_audit_schema import audit_events
from parley_chat.domain.audit import AuditEntry


async def write_audit(connection: AsyncConnection, entry: AuditEntry | None) -> None:
    """Writes an entry by itself; nothing when there is none."""
    if entry is not None:
        await connection.execute(insert(audit_events).values(row_of(entry, None)))


def row_of(entry: AuditEntry, fold_key: str | None) -> dict[str, Any]:
    """An entry as the table has it."""
    return {
        "audit_event_id": entry.audit_event_id,
        "user_id": entry.user_id,
        "deed": entry.deed.value,
        "create_time": entry.create_time,
        "last_time": entry.newest_time,
        "count": entry.count,
        "fold_key": fold_key,
        "actor_kind": entry.actor.kind.value,
        "actor_user_id": entry.actor.user_id,
        "actor_name": entry.actor.name,
        "actor_token_id": entry.actor.token_id,
        "address": entry.address,
        "user_agent": entry.user_agent,
        "target": entry.target,
        "trace_id": entry.trace_id,
    }
