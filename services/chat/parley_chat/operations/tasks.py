"""What can be done with tasks, each within the transaction of its caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_task
from parley_chat.domain.recurrence import HORIZON_YEARS, read_recurrence
from parley_chat.domain.tasks import (
    MOST_OPEN_TASKS,
    InvalidTaskError,
    Task,
    TaskPriority,
    TaskState,
    TooManyTasksError,
    new_task_id,
)
from parley_chat.operations.occurrences import has_begun_in_time, matches_ever, next_occurrence, wall_time
from parley_chat.operations.projects import check_label
from parley_chat.ports.rule_days import RuleDays
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
    recurrence: str
    """A rule in its normal form; empty for none."""
    remind_minutes_before: tuple[int, ...]


class TaskChanges(TypedDict, total=False):
    """The fields of a task that change, and what they become."""

    title: str
    notes: str
    due_time: datetime | None
    time_zone: str
    priority: TaskPriority
    project: str
    recurrence: str
    remind_minutes_before: tuple[int, ...]


async def create_task(workspace: Workspace, days: RuleDays, new: NewTask, now: datetime, turn_id: str) -> Task:
    """Makes a task; `turn_id` names the turn whose model does. Raises InvalidTaskError, TooManyTasksError
    and, for its project, NotFoundError.
    """
    await check_label(workspace, new.project)
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
        recurrence=new.recurrence,
        remind_minutes_before=new.remind_minutes_before,
    )
    task = _reminding(_recurring(days, task, None), None, now)
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


async def update_task(
    workspace: Workspace, days: RuleDays, task_id: str, changes: TaskChanges, now: datetime, turn_id: str
) -> Task:
    """Changes a task. Raises NotFoundError, for its project too, and InvalidTaskError."""
    before = await workspace.tasks.get(task_id)
    if changes.get("project", before.project) != before.project:
        await check_label(workspace, changes["project"])
    after = replace(before, **changes)
    return await _put(workspace, before, _reminding(_recurring(days, after, before), before, now), now, turn_id)


async def complete_task(
    workspace: Workspace, days: RuleDays, task_id: str, now: datetime, turn_id: str
) -> tuple[Task, Task | None]:
    """Completes a task, and makes the one of its next occurrence; gives both. Of one that was completed before, nothing changes.

    Raises NotFoundError.
    """
    task = await workspace.tasks.get(task_id)
    if task.state is TaskState.COMPLETED:
        return task, await _following(workspace, task)
    following = _next_task(days, task, now, turn_id)
    completed = replace(
        task,
        state=TaskState.COMPLETED,
        complete_time=now,
        remind_time=None,
        next_task_id=following.task_id if following else "",
    )
    completed = await _put(workspace, task, completed, now, turn_id)
    if following:
        await workspace.tasks.add(following)
        workspace.tell(changed_task(Action.CREATED, following, turn_id))
    return completed, following


async def reopen_task(workspace: Workspace, task_id: str, now: datetime, turn_id: str) -> Task:
    """Opens a task again; one that is open stays as it is. The task of the next occurrence goes if nobody has touched it; if somebody has,
    that one recurs, and this one no more. Raises NotFoundError and TooManyTasksError.
    """
    task = await workspace.tasks.get(task_id)
    if task.state is TaskState.OPEN:
        return task
    opened = replace(task, state=TaskState.OPEN, complete_time=None, next_task_id="")
    if task.next_task_id:
        following = await _following(workspace, task)
        if following and following.state is TaskState.OPEN and following.update_time == following.create_time:
            await delete_task(workspace, following.task_id, turn_id)
        else:
            opened = replace(opened, recurrence="", wall_time=None)
    if await workspace.tasks.count_open() >= MOST_OPEN_TASKS:
        raise TooManyTasksError(MOST_OPEN_TASKS)
    return await _put(workspace, task, _reminding(opened, None, now), now, turn_id)


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


async def _following(workspace: Workspace, task: Task) -> Task | None:
    """The task of the next occurrence of a completed one; None when there is none, or none any more."""
    try:
        return await workspace.tasks.get(task.next_task_id) if task.next_task_id else None
    except NotFoundError:
        return None


def _next_task(days: RuleDays, task: Task, now: datetime, turn_id: str) -> Task | None:
    """The next occurrence of a task that recurs, as a task; None when it was the last."""
    if task.due_time is None or task.wall_time is None:
        return None
    # What was missed is not piled up: the next one is to come.
    after = max(task.due_time, now)
    occurrence = next_occurrence(days, read_recurrence(task.recurrence), task.wall_time, task.time_zone, after)
    if occurrence is None:
        return None
    following = replace(
        task,
        task_id=new_task_id(),
        due_time=occurrence.due_time,
        wall_time=occurrence.wall_time,
        recurrence=str(occurrence.rule),
        create_time=now,
        update_time=now,
        turn_id=turn_id,
    )
    return _reminding(following, None, now)


def _recurring(days: RuleDays, task: Task, before: Task | None) -> Task:
    """The task with the local time from which its rule goes on. Raises InvalidTaskError."""
    if not task.recurrence:
        return replace(task, wall_time=None)
    if task.due_time is None:
        raise InvalidTaskError("due_time", "must be given for a task that recurs")
    local = wall_time(task.due_time, task.time_zone)
    if before is not None and before.wall_time is not None:
        if (before.due_time, before.time_zone, before.recurrence) == (task.due_time, task.time_zone, task.recurrence):
            return task
        if (before.due_time, before.time_zone) == (task.due_time, task.time_zone):
            local = before.wall_time
    rule = read_recurrence(task.recurrence)
    if not has_begun_in_time(rule, task.due_time, task.time_zone):
        raise InvalidTaskError("recurrence", "must not end before the due time")
    if not matches_ever(days, rule, local):
        raise InvalidTaskError(
            "recurrence",
            f"must name an occurrence in the {HORIZON_YEARS} years after the due time; this one never comes",
        )
    return replace(task, wall_time=local)


def _reminding(task: Task, before: Task | None, now: datetime) -> Task:
    """The task with its next reminder: what has passed is left out, unless it is about to be told. Raises InvalidTaskError."""
    if task.remind_minutes_before and task.due_time is None:
        raise InvalidTaskError("due_time", "must be given for a task that reminds")
    if task.state is not TaskState.OPEN:
        return replace(task, remind_time=None)
    if before is not None and before.state is TaskState.OPEN and before.remind_times() == task.remind_times():
        # What was told is not planned again, also when the clock of this process is behind that of the reminders.
        return replace(task, remind_time=before.remind_time)
    pending = before.remind_time if before else None
    times = (time for time in task.remind_times() if time > now or time == pending)
    return replace(task, remind_time=min(times, default=None))
