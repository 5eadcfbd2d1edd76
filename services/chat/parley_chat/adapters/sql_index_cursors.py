"""How far the search index has been told, in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from parley_shared.sql import Database
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from parley_chat.adapters.sql_schema import index_cursors, users


class SqlIndexCursors:
    """The port `IndexCursors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self, user_id: str) -> int:
        """Reads a row."""
        query = select(index_cursors.c.sequence).where(index_cursors.c.user_id == user_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none() or 0

    async def behind(self, limit: int) -> Sequence[str]:
        """Compares the counters of users with their rows."""
        known = func.coalesce(index_cursors.c.sequence, 0)
        query = (
            select(users.c.user_id)
            .outerjoin(index_cursors, index_cursors.c.user_id == users.c.user_id)
            .where(users.c.event_counter > known)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return (await connection.scalars(query)).all()

    async def move(self, user_id: str, sequence: int) -> None:
        """Writes a row forward; makes it the first time."""
        try:
            async with self._database.write() as connection:
                is_there = index_cursors.c.user_id == user_id
                moved = await connection.execute(
                    update(index_cursors).where(is_there, index_cursors.c.sequence < sequence).values(sequence=sequence)
                )
                if (
                    not moved.rowcount
                    and (await connection.execute(select(index_cursors).where(is_there))).first() is None
                ):
                    await connection.execute(insert(index_cursors).values(user_id=user_id, sequence=sequence))
        except IntegrityError:
            # Another replica made the row in the same moment, or the user is gone. The next round finds out which.
            return
