"""Where a user's projects are kept, and what is moved out of one that goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.conversation import Session
from parley_chat.domain.projects import Project, ProjectCounts
from parley_chat.domain.tasks import Task


@dataclass(frozen=True, slots=True)
class ProjectCursor:
    """The last project of a page; the next one goes on after it."""

    update_time: datetime
    project_id: str


class ProjectStore(Protocol):
    """The projects of one user."""

    async def add(self, project: Project) -> None:
        """Stores a new one."""
        ...

    async def get(self, project_id: str) -> Project:
        """Gets one, or raises NotFoundError."""
        ...

    async def put(self, project: Project) -> None:
        """Stores one that exists as it is now."""
        ...

    async def remove(self, project_id: str) -> bool:
        """Deletes one for good, and nothing else; False when there is none."""
        ...

    async def page(self, limit: int, after: ProjectCursor | None, *, archived: bool) -> Sequence[Project]:
        """Lists projects by update time, newest first, at most `limit`; the archived ones too when `archived` is true."""
        ...

    async def count(self) -> int:
        """Counts all of them."""
        ...

    async def counts(self, project_ids: Collection[str]) -> Mapping[str, ProjectCounts]:
        """How much belongs to each of these."""
        ...

    async def release_sessions(self, project_id: str) -> Sequence[Session]:
        """Moves all sessions out of a project; gives them as they are then."""
        ...

    async def release_tasks(self, project_id: str, time: datetime) -> Sequence[Task]:
        """Moves all tasks out of a project, which changes them at that time; gives them as they are then."""
        ...
