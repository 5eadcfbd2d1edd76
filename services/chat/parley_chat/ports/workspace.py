"""What a user works with beside their conversations, a transaction at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.events import Change
from parley_chat.domain.tasks import Task, TaskState
from parley_chat.ports.calendar import CalendarStore
from parley_chat.ports.meeting_bots import BotStore
from parley_chat.ports.project_store import ProjectStore
from parley_chat.ports.toolbox import ToolOutcome
from parley_chat.ports.webhook_store import WebhookStore


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list."""

    state: TaskState | None
    """None for any."""
    project: str
    """Empty for all."""
    due_before: datetime | None
    """None for all, also those that are not due."""


@dataclass(frozen=True, slots=True)
class TaskCursor:
    """The last task of a page; the next one goes on after it."""

    due_time: datetime | None
    create_time: datetime
    task_id: str


class TaskStore(Protocol):
    """The tasks of one user."""

    async def add(self, task: Task) -> None:
        """Stores a new one."""
        ...

    async def get(self, task_id: str) -> Task:
        """Gets one, or raises NotFoundError."""
        ...

    async def put(self, task: Task) -> None:
        """Stores one that exists as it is now."""
        ...

    async def remove(self, task_id: str) -> bool:
        """Deletes one for good; False when there is none."""
        ...

    async def page(self, wanted: TaskFilter, limit: int, after: TaskCursor | None) -> Sequence[Task]:
        """Lists tasks: by due time, then those without one by creation time, the newest first. At most `limit`."""
        ...

    async def count_open(self) -> int:
        """Counts those that are open."""
        ...

    async def to_remind(self, limit: int) -> Sequence[Task]:
        """Lists those with a reminder whose time has come, the earliest first. At most `limit`."""
        ...


class ToolRuns(Protocol):
    """The tool calls of one user that took effect."""

    async def find(self, turn_id: str, tool_call_id: str) -> ToolOutcome | None:
        """The outcome of a call that was run before."""
        ...

    async def keep(self, turn_id: str, tool_call_id: str, outcome: ToolOutcome, time: datetime) -> None:
        """Stores the outcome."""
        ...


class Workspace(Protocol):
    """What one user owns, in one transaction."""

    @property
    def user_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def tasks(self) -> TaskStore:
        """Their tasks."""
        ...

    @property
    def projects(self) -> ProjectStore:
        """Their projects."""
        ...

    @property
    def calendar(self) -> CalendarStore:
        """Their calendar."""
        ...

    @property
    def meeting_bots(self) -> BotStore:
        """Their bots of meetings."""
        ...

    @property
    def webhooks(self) -> WebhookStore:
        """Their webhooks."""
        ...

    @property
    def tool_runs(self) -> ToolRuns:
        """Their tool calls."""
        ...

    def tell(self, change: Change) -> None:
        """Notes a change for the log of events, which is written with the transaction."""
        ...


class Workspaces(Protocol):
    """Opens workspaces. Nothing of one user is ever returned to, or changed by, another."""

    def read(self, user_id: str) -> AbstractAsyncContextManager[Workspace]:
        """A transaction that only reads."""
        ...

    def change(self, user_id: str) -> AbstractAsyncContextManager[Workspace]:
        """A transaction. It commits at the end of the block and rolls back when an error leaves it.

        Nobody else changes what is the user's meanwhile.
        """
        ...
