"""Whose reminders come, in SQL. What a reminder does is done in its user's workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from parley_shared.sql import Database
from sqlalchemy import func, select

from parley_chat.adapters.sql_clock import SqlClock
from parley_chat.adapters.sql_schema import tasks


class SqlReminders:
    """The port `Reminders`. Reminders come by the database's clock, unless `now` is another."""

    def __init__(self, database: Database, now: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._clock = SqlClock(database, now)

    async def users(self, limit: int) -> Sequence[str]:
        """Reads along the index of reminders."""
        query = (
            select(tasks.c.user_id)
            .where(tasks.c.remind_time <= self._clock.now())
            .group_by(tasks.c.user_id)
            .order_by(func.min(tasks.c.remind_time))
            .limit(limit)
        )
        async with self._database.read() as connection:
            return (await connection.scalars(query)).all()

    async def seconds_to_next(self) -> float | None:
        """Reads the first entry of the index."""
        first = select(func.min(tasks.c.remind_time)).where(tasks.c.remind_time.is_not(None)).scalar_subquery()
        async with self._database.read() as connection:
            row = (await connection.execute(select(first.label("first"), self._clock.now().label("now")))).one()
        return None if row.first is None else max(0.0, (row.first - row.now).total_seconds())
