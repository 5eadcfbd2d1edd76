"""SQLite's driver: aiosqlite, which gives every connection a thread of its own, with fewer steps between that thread and the loop.

To aiosqlite every call of sqlite3 is a step: one waits for a thread to wake up, and for the loop to wake up again. SQLAlchemy takes four
for a statement and three more to begin a transaction. Here a statement is one step, which fetches its rows and, when it is the first,
begins the transaction; ending a transaction is one, and nobody waits for the end of one that only read.

It knows SQLAlchemy's side of a driver and no more: rows come whole, not one by one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")


class SqliteConnection(aiosqlite.Connection):
    """A connection. `await` opens it."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, read_only: bool) -> None:
        """`connect` is called in the connection's thread. Its connection begins no transaction by itself: `isolation_level` None."""
        super().__init__(connect, iter_chunk_size=1)
        # As SQLAlchemy makes it: a connection that is forgotten does not keep the process from ending.
        self._thread.daemon = True
        self._read_only = read_only
        self._opening = ""
        self._is_begun = False

    def begin_with(self, statement: str) -> None:
        """Has a transaction begun by `BEGIN …` right before the next statement."""
        self._opening = statement

    def cursor(self) -> Any:
        """A cursor, which needs no thread before it is used."""
        return _Cursor(self)

    def step(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Has the thread do a piece of work after all that it was given before; done also when nobody waits for it any more."""
        if self._connection is None:
            raise ValueError("no active connection")
        connection = self._connection
        opening, self._opening = self._opening, ""
        if opening:
            self._is_begun = True

        def begin_and_work() -> T:
            if opening:
                connection.execute(opening)
            return work(connection)

        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, begin_and_work))
        return future

    async def commit(self) -> None:
        """Keeps what the transaction wrote."""
        if self._read_only:
            await self.rollback()
        elif self._ends():
            await self.step(lambda connection: connection.commit())
            self._is_begun = False

    async def rollback(self) -> None:
        """Drops what the transaction wrote."""
        if self._ends():
            ending = self.step(lambda connection: connection.rollback())
            if not self._read_only:
                await ending
            # What comes next comes after it in the thread.
            self._is_begun = False

    def _ends(self) -> bool:
        """Whether there is a transaction to end; one that has had no statement never began."""
        self._opening = ""
        return self._is_begun


class _Cursor:
    """What SQLAlchemy asks of a cursor of an asynchronous driver."""

    arraysize = 1

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        """Is ready."""
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        """Executes a statement and fetches its rows."""
        await self._run(lambda cursor: cursor.execute(statement, parameters))

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Executes a statement once for each set of parameters."""
        await self._run(lambda cursor: cursor.executemany(statement, parameters))

    async def _run(self, work: Callable[[sqlite3.Cursor], object]) -> None:
        def run(connection: sqlite3.Connection) -> tuple[Any, list[Any], int, int | None]:
            cursor = connection.cursor()
            try:
                work(cursor)
                rows = cursor.fetchall() if cursor.description else []
                return cursor.description, rows, cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        self.description, self._rows, self.rowcount, self.lastrowid = await self._connection.step(run)

    async def fetchall(self) -> list[Any]:
        """The rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Has nothing to close: the thread did."""
