"""Writes a record of usage within the transaction of what it is of."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_schema import usage_records as records
from parley_chat.domain.usage import UsageRecord

# Every turn has it executed: written once, because writing a statement takes longer than executing it.
_NEW_RECORD = insert(records)


async def write_usage(connection: AsyncConnection, record: UsageRecord) -> None:
    """Writes a record."""
    row = {
        "usage_id": f"use_{uuid4().hex}",
        "user_id": record.user_id,
        "end_ms": milliseconds(record.end_time),
        "purpose": record.purpose.value,
        "outcome": record.outcome.value,
        "session_id": record.session_id,
        "route": record.route.value if record.route else "",
        "model": record.model,
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "estimated": record.estimated,
        "cost_usd_micros": record.cost_usd_micros,
        "time_to_first_token_ms": record.time_to_first_token_ms,
        "duration_ms": record.duration_ms,
        "project_id": record.project_id,
    }
    await connection.execute(_NEW_RECORD, row)


def milliseconds(time: datetime) -> int:
    """As times of records are stored: since 1970, UTC."""
    return round(time.timestamp() * 1000)
