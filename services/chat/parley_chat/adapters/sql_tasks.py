"""Tasks in SQL, within a transaction that somebody else opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, TextClause, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_clock import SqlClock
from parley_chat.adapters.sql_schema import has_project, tasks
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.tasks import Task, TaskPriority, TaskState
from parley_chat.ports.workspace import TaskCursor, TaskFilter


class SqlTasks:
    """The port `TaskStore`, for one user."""

    def __init__(self, connection: AsyncConnection, user_id: str, clock: SqlClock) -> None:
        self._connection = connection
        self._user_id = user_id
        self._clock = clock

    async def add(self, task: Task) -> None:
        """Inserts a row."""
        await self._connection.execute(insert(tasks).values(user_id=self._user_id, **_row(task)))

    async def get(self, task_id: str) -> Task:
        """Reads a row. In a transaction that changes, the workspace holds it: nobody else changes what is the user's."""
        query = select(tasks).where(tasks.c.task_id == task_id, tasks.c.user_id == self._user_id)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFoundError("task")
        return to_task(row)

    async def put(self, task: Task) -> None:
        """Writes a row anew."""
        await self._connection.execute(
            update(tasks).where(tasks.c.task_id == task.task_id, tasks.c.user_id == self._user_id).values(**_row(task))
        )

    async def remove(self, task_id: str) -> bool:
        """Deletes a row."""
        found = await self._connection.execute(
            delete(tasks).where(tasks.c.task_id == task_id, tasks.c.user_id == self._user_id)
        )
        return bool(found.rowcount)

    async def page(self, wanted: TaskFilter, limit: int, after: TaskCursor | None) -> Sequence[Task]:
        """Reads the dated ones along their index, and then the others, newest first."""
        found: list[Task] = []
        if after is None or after.due_time is not None:
            dated = select(tasks).where(self._wanted(wanted), tasks.c.due_time.is_not(None))
            if after is not None:
                later = tasks.c.due_time > after.due_time
                same = and_(tasks.c.due_time == after.due_time, tasks.c.task_id > after.task_id)
                dated = dated.where(or_(later, same))
            dated = dated.order_by(tasks.c.due_time, tasks.c.task_id).limit(limit)
            found += [to_task(row) for row in await self._connection.execute(dated)]
        if len(found) < limit and wanted.due_before is None:
            others = select(tasks).where(self._wanted(wanted), tasks.c.due_time.is_(None))
            if after is not None and after.due_time is None:
                older = tasks.c.create_time < after.create_time
                same = and_(tasks.c.create_time == after.create_time, tasks.c.task_id < after.task_id)
                others = others.where(or_(older, same))
            others = others.order_by(tasks.c.create_time.desc(), tasks.c.task_id.desc()).limit(limit - len(found))
            found += [to_task(row) for row in await self._connection.execute(others)]
        return found

    async def count_open(self) -> int:
        """Counts rows along the index."""
        query = select(func.count()).where(tasks.c.user_id == self._user_id, tasks.c.state == TaskState.OPEN.value)
        return (await self._connection.execute(query)).scalar_one()

    async def to_remind(self, limit: int) -> Sequence[Task]:
        """Reads rows along the index of reminders."""
        query = (
            select(tasks)
            .where(tasks.c.user_id == self._user_id, tasks.c.remind_time <= self._clock.now())
            .order_by(tasks.c.remind_time, tasks.c.task_id)
            .limit(limit)
        )
        return [to_task(row) for row in await self._connection.execute(query)]

    def _wanted(self, wanted: TaskFilter) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool] | TextClause] = [tasks.c.user_id == self._user_id]
        if wanted.state is not None:
            conditions.append(tasks.c.state == wanted.state.value)
        if wanted.project:
            conditions += [tasks.c.project == wanted.project, has_project]
        if wanted.due_before is not None:
            conditions.append(tasks.c.due_time < wanted.due_before)
        return and_(*conditions)


def _row(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "title": task.title,
        "notes": task.notes,
        "due_time": task.due_time,
        "time_zone": task.time_zone,
        "priority": task.priority.value,
        "state": task.state.value,
        "project": task.project,
        "create_time": task.create_time,
        "update_time": task.update_time,
        "complete_time": task.complete_time,
        "turn_id": task.turn_id,
        "recurrence": task.recurrence,
        "wall_time": None if task.wall_time is None else task.wall_time.isoformat(),
        "remind_minutes_before": list(task.remind_minutes_before),
        "remind_time": task.remind_time,
        "next_task_id": task.next_task_id,
    }


def to_task(row: Row[Any]) -> Task:
    """Reads a row of `tasks`."""
    return Task(
        task_id=row.task_id,
        title=row.title,
        notes=row.notes,
        due_time=row.due_time,
        time_zone=row.time_zone,
        priority=TaskPriority(row.priority),
        state=TaskState(row.state),
        project=row.project,
        create_time=row.create_time,
        update_time=row.update_time,
        complete_time=row.complete_time,
        turn_id=row.turn_id,
        recurrence=row.recurrence,
        wall_time=None if row.wall_time is None else datetime.fromisoformat(row.wall_time),
        remind_minutes_before=tuple(row.remind_minutes_before),
        remind_time=row.remind_time,
        next_task_id=row.next_task_id,
    )
