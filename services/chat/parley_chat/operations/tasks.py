"""What can be done with tasks, each within the transaction of its caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_task
from parley_chat.domain.tasks import MOST_OPEN_TASKS, Task, TaskPriority, TaskState, TooManyTasksError, new_task_id
from parley_chat.ports.workspace import TaskCursor, TaskFilter, Workspace


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a new task is made of. Checked at the door."""

    title: str
    notes: str
    due_time: datetime | None
    time_zone: str
    priority: TaskPriority
    project: str


class TaskChanges(TypedDict, total=False):
    """The fields of a task that change, and what they become."""

    title: str
    notes: str
    due_time: datetime | None
    time_zone: str
    priority: TaskPriority
    project: str


async def create_task(workspace: Workspace, new: NewTask, now: datetime, turn_id: str) -> Task:
    """Makes a task; `turn_id` names the turn whose model does. Raises TooManyTasksError."""
    if await workspace.tasks.count_open() >= MOST_OPEN_TASKS:
        raise TooManyTasksError(MOST_OPEN_TASKS)
    task = Task(
        task_id=new_task_id(),
        title=new.title,
        notes=new.notes,
        due_time=new.due_time,
        time_zone=new.time_zone,
        priority=new.priority,
        state=TaskState.OPEN,
        project=new.project,
        create_time=now,
        update_time=now,
        complete_time=None,
        turn_id=turn_id,
    )
    await workspace.tasks.add(task)
    workspace.tell(changed_task(Action.CREATED, task, turn_id))
    return task


async def list_tasks(
    workspace: Workspace, wanted: TaskFilter, limit: int, after: TaskCursor | None
) -> tuple[Sequence[Task], TaskCursor | None]:
    """A page of tasks, and where the next one goes on; None when there is none."""
    found = await workspace.tasks.page(wanted, limit + 1, after)
    if len(found) <= limit:
        return found, None
    page = found[:limit]
    last = page[-1]
    return page, TaskCursor(last.due_time, last.create_time, last.task_id)


async def update_task(workspace: Workspace, task_id: str, changes: TaskChanges, now: datetime, turn_id: str) -> Task:
    """Changes a task. Raises NotFoundError."""
    task = await workspace.tasks.get(task_id)
    return await _put(workspace, task, replace(task, **changes), now, turn_id)


async def set_task_state(workspace: Workspace, task_id: str, state: TaskState, now: datetime, turn_id: str) -> Task:
    """Completes a task, or opens it again; one that is so already stays as it is. Raises NotFoundError and TooManyTasksError."""
    task = await workspace.tasks.get(task_id)
    if task.state is state:
        return task
    if state is TaskState.OPEN and await workspace.tasks.count_open() >= MOST_OPEN_TASKS:
        raise TooManyTasksError(MOST_OPEN_TASKS)
    complete_time = now if state is TaskState.COMPLETED else None
    return await _put(workspace, task, replace(task, state=state, complete_time=complete_time), now, turn_id)


async def delete_task(workspace: Workspace, task_id: str, turn_id: str) -> None:
    """Deletes a task for good. Raises NotFoundError."""
    if not await workspace.tasks.remove(task_id):
        raise NotFoundError("task")
    workspace.tell(Change(Action.DELETED, ResourceType.TASK, task_id, None, turn_id))


async def _put(workspace: Workspace, before: Task, after: Task, now: datetime, turn_id: str) -> Task:
    if after == before:
        return before
    changed = replace(after, update_time=now)
    await workspace.tasks.put(changed)
    workspace.tell(changed_task(Action.UPDATED, changed, turn_id))
    return changed
