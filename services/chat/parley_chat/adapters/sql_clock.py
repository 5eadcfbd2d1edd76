"""The time by the database, which all replicas share. Not the times that are written of what happens: those are of this process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, func, literal


class SqlClock:
    """The database's clock, or another one that is given. SQLite has none of its own that is finer than this process's."""

    def __init__(self, database: Database, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or (_process_now if database.dialect == "sqlite" else None)

    def now(self) -> ColumnElement[datetime]:
        """The time of the statement that it stands in."""
        if self._now is not None:
            return literal(self._now(), UtcDateTime)
        # Stable within a statement, so that an index can be used. The time of the transaction would be that of its beginning.
        return func.statement_timestamp(type_=UtcDateTime)

    def process_now(self) -> datetime | None:
        """The time when this process says it; None when the database does."""
        return None if self._now is None else self._now()


def _process_now() -> datetime:
    return datetime.now(UTC)
