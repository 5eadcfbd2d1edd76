"""What the statements on batches share: rows as the domain has them, times by the database's clock, and the end of a batch."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, Interval, Row, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_batch_schema import batches
from parley_chat.adapters.sql_events import hold_user, record
from parley_chat.domain.batches import Batch, BatchState, LineFailure
from parley_chat.domain.conversation import Failure
from parley_chat.domain.events import Action, changed_batch

RECEIVING = "receiving"
"""The state of what is still uploaded: nobody sees it."""
ACTIVE = (BatchState.QUEUED.value, BatchState.RUNNING.value)
OPEN = (*ACTIVE, BatchState.PAUSED.value)

_COLUMNS = [batches.c[name] for name in Batch.__dataclass_fields__]
SELECT_BATCH = select(*_COLUMNS).where(batches.c.state != RECEIVING)
RETURNED = _COLUMNS


def to_batch(row: Row[Any]) -> Batch:
    """A batch of its columns."""
    values = {name: getattr(row, name) for name in Batch.__dataclass_fields__}
    return Batch(**{**values, "state": BatchState(row.state)})


def failure_text(failure: LineFailure) -> str:
    """A failure as it is stored."""
    return json.dumps({**asdict(failure.failure), "field": failure.field})


def to_failure(text: str) -> LineFailure:
    """A failure that was stored."""
    fields = json.loads(text)
    field = fields.pop("field")
    return LineFailure(Failure(**fields), field)


def later(database: Database, time: timedelta | None = None) -> ColumnElement[datetime]:
    """The database's time, or some more. SQLite has no other clock than this machine's, and no finer one than this process."""
    if database.dialect == "sqlite":
        return literal(datetime.now(UTC) + (time or timedelta()), UtcDateTime)
    now = func.statement_timestamp(type_=UtcDateTime)
    return now if time is None else now + literal(time, Interval)


async def hold_batch(connection: AsyncConnection, batch_id: str) -> bool:
    """Holds a batch's row until the transaction ends, before any of its lines: so nobody waits in a circle. False when there is none.

    Whoever needs the user's row too holds that one first.
    """
    query = select(batches.c.batch_id).where(batches.c.batch_id == batch_id).with_for_update()
    return (await connection.execute(query)).first() is not None


async def end_if_finished(database: Database, user_id: str, batch_id: str) -> Batch | None:
    """Ends a batch all of whose lines have ended; gives it when this call did. A transaction of its own, because its event needs the user's
    row before the batch's."""
    now = datetime.now(UTC)
    async with database.write() as connection:
        await hold_user(connection, user_id)
        ended = await connection.execute(
            update(batches)
            .where(
                batches.c.batch_id == batch_id,
                batches.c.state.in_(OPEN),
                batches.c.pending_count == 0,
                batches.c.running_count == 0,
            )
            .values(state=BatchState.DONE.value, end_time=now, pause_reason="", pause_message="")
            .returning(*RETURNED)
        )
        row = ended.first()
        if row is None:
            return None
        batch = to_batch(row)
        await record(connection, user_id, [changed_batch(Action.UPDATED, batch)], now)
        return batch
