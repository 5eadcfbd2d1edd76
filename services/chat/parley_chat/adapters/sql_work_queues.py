"""The work of chat, counted in its database: turns, and lines of batches."""

from __future__ import annotations

from collections.abc import Sequence

from parley_shared.sql import Database
from sqlalchemy import func, select

from parley_chat.adapters.sql_batch_schema import batches
from parley_chat.adapters.sql_schema import turns
from parley_chat.domain.batches import BatchState
from parley_chat.domain.turn import TurnState
from parley_chat.ports.work_queues import QueueReport

_TURNS = select(func.count(), func.count(turns.c.queue_time)).where(turns.c.state == TurnState.RUNNING.value)
_LINES = select(
    func.coalesce(func.sum(batches.c.pending_count), 0), func.coalesce(func.sum(batches.c.running_count), 0)
).where(batches.c.state.in_([BatchState.QUEUED.value, BatchState.RUNNING.value]))


class SqlWorkQueues:
    """The port `WorkQueues`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reports(self) -> Sequence[QueueReport]:
        """Counts along the indexes of what has not ended."""
        async with self._database.read() as connection:
            unfinished, waiting = (await connection.execute(_TURNS)).one()
            pending, running = (await connection.execute(_LINES)).one()
        return (
            QueueReport("turns", "chat", waiting=int(waiting), running=int(unfinished - waiting)),
            QueueReport("batches", "chat", waiting=int(pending), running=int(running)),
        )
