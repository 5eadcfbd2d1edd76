"""Projects in SQL, within a transaction that somebody else opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_project_schema import projects
from parley_chat.adapters.sql_schema import has_project, in_project, sessions, tasks
from parley_chat.adapters.sql_session_rows import select_session, to_session
from parley_chat.adapters.sql_tasks import to_task
from parley_chat.domain.conversation import Session
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.projects import Project, ProjectCounts
from parley_chat.domain.tasks import Task, TaskState
from parley_chat.ports.project_store import ProjectCursor

_BATCH = 500
"""Ids in one statement."""


class SqlProjects:
    """The port `ProjectStore`, for one user."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def add(self, project: Project) -> None:
        """Inserts a row."""
        await self._connection.execute(insert(projects).values(user_id=self._user_id, **asdict(project)))

    async def get(self, project_id: str) -> Project:
        """Reads a row."""
        query = select(projects).where(projects.c.project_id == project_id, projects.c.user_id == self._user_id)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFoundError("project")
        return _project(row)

    async def put(self, project: Project) -> None:
        """Writes a row anew."""
        await self._connection.execute(
            update(projects)
            .where(projects.c.project_id == project.project_id, projects.c.user_id == self._user_id)
            .values(**asdict(project))
        )

    async def remove(self, project_id: str) -> bool:
        """Deletes a row."""
        found = await self._connection.execute(
            delete(projects).where(projects.c.project_id == project_id, projects.c.user_id == self._user_id)
        )
        return bool(found.rowcount)

    async def page(self, limit: int, after: ProjectCursor | None, *, archived: bool) -> Sequence[Project]:
        """Reads along the index."""
        query = select(projects).where(projects.c.user_id == self._user_id)
        if not archived:
            query = query.where(projects.c.archived.is_(False))
        if after:
            older = projects.c.update_time < after.update_time
            same = and_(projects.c.update_time == after.update_time, projects.c.project_id < after.project_id)
            query = query.where(or_(older, same))
        query = query.order_by(projects.c.update_time.desc(), projects.c.project_id.desc()).limit(limit)
        return [_project(row) for row in await self._connection.execute(query)]

    async def count(self) -> int:
        """Counts rows along the index."""
        query = select(func.count()).where(projects.c.user_id == self._user_id)
        return (await self._connection.execute(query)).scalar_one()

    async def counts(self, project_ids: Collection[str]) -> Mapping[str, ProjectCounts]:
        """Counts rows along the indexes of what belongs to projects."""
        of_sessions = (
            select(sessions.c.project_id, func.count())
            .where(sessions.c.user_id == self._user_id, sessions.c.project_id.in_(project_ids), in_project)
            .group_by(sessions.c.project_id)
        )
        of_tasks = (
            select(tasks.c.project, func.count())
            .where(tasks.c.user_id == self._user_id, tasks.c.project.in_(project_ids), has_project)
            .where(tasks.c.state == TaskState.OPEN.value)
            .group_by(tasks.c.project)
        )
        sessions_of = {name: count for name, count in await self._connection.execute(of_sessions)}  # noqa: C416 - rows are no pairs to the type checker
        tasks_of = {name: count for name, count in await self._connection.execute(of_tasks)}  # noqa: C416 - the same
        return {name: ProjectCounts(sessions_of.get(name, 0), tasks_of.get(name, 0)) for name in project_ids}

    async def release_sessions(self, project_id: str) -> Sequence[Session]:
        """Clears a column, and reads the rows again in pieces."""
        released = await self._connection.execute(
            update(sessions)
            .where(sessions.c.user_id == self._user_id, sessions.c.project_id == project_id, in_project)
            .values(project_id="")
            .returning(sessions.c.session_id)
        )
        found: list[Session] = []
        session_ids = [row.session_id for row in released]
        for start in range(0, len(session_ids), _BATCH):
            query = select_session.where(sessions.c.session_id.in_(session_ids[start : start + _BATCH]))
            found += [to_session(row) for row in await self._connection.execute(query)]
        return found

    async def release_tasks(self, project_id: str, time: datetime) -> Sequence[Task]:
        """Clears a column."""
        released = await self._connection.execute(
            update(tasks)
            .where(tasks.c.user_id == self._user_id, tasks.c.project == project_id, has_project)
            .values(project="", update_time=time)
            .returning(tasks)
        )
        return [to_task(row) for row in released]


async def check_project(connection: AsyncConnection, user_id: str, project_id: str) -> None:
    """Raises NotFoundError when a project is named that is not the user's."""
    if project_id:
        await SqlProjects(connection, user_id).get(project_id)


def _project(row: Row[Any]) -> Project:
    return Project(
        project_id=row.project_id,
        title=row.title,
        description=row.description,
        instructions=row.instructions,
        archived=row.archived,
        create_time=row.create_time,
        update_time=row.update_time,
    )
