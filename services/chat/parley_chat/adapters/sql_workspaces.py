"""Workspaces in SQL: one transaction each, with the tables of one user's things in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from parley_shared.sql import Database
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_schema import tool_runs, turns
from parley_chat.adapters.sql_tasks import SqlTasks
from parley_chat.ports.toolbox import ToolOutcome


class SqlToolRuns:
    """The port `ToolRuns`."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def find(self, turn_id: str, tool_call_id: str) -> ToolOutcome | None:
        """Reads the row of a call; whoever runs a tool of the same turn meanwhile waits here until this transaction has ended."""
        # A statement that changes nothing holds the turn's row on every database.
        held = update(turns).where(turns.c.turn_id == turn_id, turns.c.user_id == self._user_id)
        await self._connection.execute(held.values(fence=turns.c.fence))
        query = select(tool_runs.c.result_json).where(
            tool_runs.c.turn_id == turn_id,
            tool_runs.c.tool_call_id == tool_call_id,
            tool_runs.c.user_id == self._user_id,
        )
        result = (await self._connection.execute(query)).scalar_one_or_none()
        return None if result is None else ToolOutcome(result)

    async def keep(self, turn_id: str, tool_call_id: str, outcome: ToolOutcome, time: datetime) -> None:
        """Inserts the row of a call."""
        await self._connection.execute(
            insert(tool_runs).values(
                turn_id=turn_id,
                tool_call_id=tool_call_id,
                user_id=self._user_id,
                result_json=outcome.result_json,
                create_time=time,
            )
        )


class SqlWorkspace:
    """The port `Workspace`."""

    def __init__(self, connection: AsyncConnection, user_id: str, *, for_update: bool) -> None:
        self.user_id = user_id
        self.tasks = SqlTasks(connection, user_id, for_update=for_update)
        self.tool_runs = SqlToolRuns(connection, user_id)


class SqlWorkspaces:
    """The port `Workspaces`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def read(self, user_id: str) -> AsyncGenerator[SqlWorkspace]:
        """A transaction that sees the database as it was at its first statement."""
        async with self._database.read() as connection:
            yield SqlWorkspace(connection, user_id, for_update=False)

    @asynccontextmanager
    async def change(self, user_id: str) -> AsyncGenerator[SqlWorkspace]:
        """A transaction that changes."""
        async with self._database.write() as connection:
            yield SqlWorkspace(connection, user_id, for_update=True)
