"""Workspaces in SQL: one transaction each, with the tables of one user's things in it, and the log of what it changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from parley_shared.sql import Database
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_calendar import SqlCalendar
from parley_chat.adapters.sql_clock import SqlClock
from parley_chat.adapters.sql_events import NO_NEWS, hold_user, record
from parley_chat.adapters.sql_meeting_bots import SqlMeetingBots
from parley_chat.adapters.sql_projects import SqlProjects
from parley_chat.adapters.sql_schema import tool_runs
from parley_chat.adapters.sql_tasks import SqlTasks
from parley_chat.adapters.sql_webhooks import SqlWebhooks
from parley_chat.domain.events import Change
from parley_chat.ports.event_log import EventNews
from parley_chat.ports.toolbox import ToolOutcome


class SqlToolRuns:
    """The port `ToolRuns`."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def find(self, turn_id: str, tool_call_id: str) -> ToolOutcome | None:
        """Reads the row of a call. Whoever runs a tool for the same user meanwhile waits where the workspace holds the user."""
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

    def __init__(self, connection: AsyncConnection, user_id: str, clock: SqlClock) -> None:
        self.user_id = user_id
        self.tasks = SqlTasks(connection, user_id, clock)
        self.projects = SqlProjects(connection, user_id)
        self.calendar = SqlCalendar(connection, user_id)
        self.webhooks = SqlWebhooks(connection, user_id)
        self.meeting_bots = SqlMeetingBots(connection, user_id, clock)
        self.tool_runs = SqlToolRuns(connection, user_id)
        self.changes: list[Change] = []

    def tell(self, change: Change) -> None:
        """Notes a change for the log of events."""
        self.changes.append(change)


class SqlWorkspaces:
    """The port `Workspaces`. Reminders come by the database's clock, unless `now` is another."""

    def __init__(
        self, database: Database, news: EventNews = NO_NEWS, now: Callable[[], datetime] | None = None
    ) -> None:
        self._database = database
        self._news = news
        self._clock = SqlClock(database, now)

    @asynccontextmanager
    async def read(self, user_id: str) -> AsyncGenerator[SqlWorkspace]:
        """A transaction that sees the database as it was at its first statement."""
        async with self._database.read() as connection:
            yield SqlWorkspace(connection, user_id, self._clock)

    @asynccontextmanager
    async def change(self, user_id: str) -> AsyncGenerator[SqlWorkspace]:
        """A transaction that changes, and has what is the user's to itself."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            workspace = SqlWorkspace(connection, user_id, self._clock)
            yield workspace
            await record(connection, user_id, workspace.changes, datetime.now(UTC))
        if workspace.changes:
            self._news.tell(user_id)
