"""Tasks between the contract and the domain: bounds, packing and unpacking. The bounds are the contract's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from parley.workspace.v1 import task_pb2, task_service_pb2
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.validation import Violations

from parley_chat.domain.recurrence import RecurrenceError, read_recurrence
from parley_chat.domain.tasks import Task, TaskPriority, TaskState
from parley_chat.operations.tasks import NewTask, TaskChanges
from parley_chat.ports.workspace import TaskCursor, TaskFilter
from parley_chat.servicers.times import check_time_zone, read_time

TASK_PREFIX = "tsk_"
TITLE_MOST = 300
NOTES_MOST = 10_000
PROJECT_MOST = 100
REMINDERS_MOST, REMIND_MINUTES_MOST = 5, 40_320
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 100, 512

_CHANGEABLE = (
    "title",
    "notes",
    "due_time",
    "time_zone",
    "priority",
    "project",
    "recurrence",
    "remind_minutes_before",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PRIORITIES = {
    task_pb2.TASK_PRIORITY_UNSPECIFIED: TaskPriority.NORMAL,
    task_pb2.TASK_PRIORITY_LOW: TaskPriority.LOW,
    task_pb2.TASK_PRIORITY_NORMAL: TaskPriority.NORMAL,
    task_pb2.TASK_PRIORITY_HIGH: TaskPriority.HIGH,
}
_PACKED_PRIORITIES = {
    TaskPriority.LOW: task_pb2.TASK_PRIORITY_LOW,
    TaskPriority.NORMAL: task_pb2.TASK_PRIORITY_NORMAL,
    TaskPriority.HIGH: task_pb2.TASK_PRIORITY_HIGH,
}
_STATES = {task_pb2.TASK_STATE_OPEN: TaskState.OPEN, task_pb2.TASK_STATE_COMPLETED: TaskState.COMPLETED}
_PACKED_STATES = {state: packed for packed, state in _STATES.items()}


def new_task(request: task_service_pb2.CreateTaskRequest) -> NewTask:
    """Checks and unpacks the request for a new task."""
    violations = Violations()
    violations.line("title", request.title, least=1, most=TITLE_MOST, not_blank=True)
    violations.stored_text("notes", request.notes, most=NOTES_MOST)
    violations.stored_text("project", request.project, most=PROJECT_MOST)
    check_time_zone(violations, request.time_zone)
    violations.choice("priority", request.priority, task_pb2.TaskPriority.values())
    due_time = read_time(violations, "due_time", request.due_time) if request.HasField("due_time") else None
    recurrence = _recurrence(violations, request.recurrence)
    reminders = _reminders(violations, request.remind_minutes_before)
    violations.check()
    return NewTask(
        title=request.title.strip(),
        notes=request.notes,
        due_time=due_time,
        time_zone=request.time_zone or "UTC",
        priority=_PRIORITIES[request.priority],
        project=request.project.strip(),
        recurrence=recurrence,
        remind_minutes_before=reminders,
    )


def changes_of(request: task_service_pb2.UpdateTaskRequest) -> TaskChanges:
    """Checks the request to change a task, and gives what it changes."""
    violations = Violations()
    violations.identifier("task_id", request.task_id, TASK_PREFIX)
    paths = violations.changed_fields(request, _CHANGEABLE)
    changes: TaskChanges = {}
    if "title" in paths:
        violations.line("title", request.title, least=1, most=TITLE_MOST, not_blank=True)
        changes["title"] = request.title.strip()
    if "notes" in paths:
        violations.stored_text("notes", request.notes, most=NOTES_MOST)
        changes["notes"] = request.notes
    if "due_time" in paths:
        changes["due_time"] = (
            read_time(violations, "due_time", request.due_time) if request.HasField("due_time") else None
        )
    if "time_zone" in paths:
        check_time_zone(violations, request.time_zone)
        changes["time_zone"] = request.time_zone or "UTC"
    if "priority" in paths:
        violations.choice("priority", request.priority, task_pb2.TaskPriority.values())
        changes["priority"] = _PRIORITIES.get(request.priority, TaskPriority.NORMAL)
    if "project" in paths:
        violations.stored_text("project", request.project, most=PROJECT_MOST)
        changes["project"] = request.project.strip()
    if "recurrence" in paths:
        changes["recurrence"] = _recurrence(violations, request.recurrence)
    if "remind_minutes_before" in paths:
        changes["remind_minutes_before"] = _reminders(violations, request.remind_minutes_before)
    violations.check()
    return changes


def task_filter(request: task_service_pb2.ListTasksRequest) -> tuple[TaskFilter, int, TaskCursor | None]:
    """Checks the request for a list, and gives what it asks for, how many, and the task that the page comes after."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    violations.choice("state", request.state, task_pb2.TaskState.values())
    violations.stored_text("project", request.project, most=PROJECT_MOST)
    due_before = read_time(violations, "due_before", request.due_before) if request.HasField("due_before") else None
    violations.check()
    state = _STATES.get(request.state, None if request.include_completed else TaskState.OPEN)
    wanted = TaskFilter(state, request.project.strip(), due_before)
    return wanted, request.page_size or PAGE_SIZE_DEFAULT, _cursor(_list_name(request), request.page_token)


def next_page_token(request: task_service_pb2.ListTasksRequest, cursor: TaskCursor | None) -> str:
    """The page token that asks for what comes after; empty when nothing does."""
    if cursor is None:
        return ""
    due = -1 if cursor.due_time is None else (cursor.due_time - _EPOCH) // _MICROSECOND
    return encode_page_token(_list_name(request), [due, (cursor.create_time - _EPOCH) // _MICROSECOND, cursor.task_id])


def check_task_id(task_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names `task_id`."""
    violations = Violations()
    violations.identifier("task_id", task_id, TASK_PREFIX)
    violations.check()


def pack_task(task: Task) -> task_pb2.Task:
    """Packs a task."""
    packed = task_pb2.Task(
        task_id=task.task_id,
        title=task.title,
        notes=task.notes,
        time_zone=task.time_zone,
        priority=_PACKED_PRIORITIES[task.priority],
        state=_PACKED_STATES[task.state],
        project=task.project,
        turn_id=task.turn_id,
        recurrence=task.recurrence,
        remind_minutes_before=task.remind_minutes_before,
        next_task_id=task.next_task_id,
    )
    packed.create_time.FromDatetime(task.create_time)
    packed.update_time.FromDatetime(task.update_time)
    if task.due_time:
        packed.due_time.FromDatetime(task.due_time)
    if task.complete_time:
        packed.complete_time.FromDatetime(task.complete_time)
    if task.remind_time:
        packed.remind_time.FromDatetime(task.remind_time)
    return packed


def _recurrence(violations: Violations, written: str) -> str:
    """The rule in its normal form."""
    if not written:
        return ""
    try:
        return str(read_recurrence(written))
    except RecurrenceError as error:
        violations.add("recurrence", error.words)
        return ""


def _reminders(violations: Violations, minutes: Sequence[int]) -> tuple[int, ...]:
    """Minutes before the due time, the earliest reminder first."""
    violations.count("remind_minutes_before", minutes, most=REMINDERS_MOST)
    for place, each in enumerate(minutes[:REMINDERS_MOST]):
        violations.integer(f"remind_minutes_before[{place}]", each, least=0, most=REMIND_MINUTES_MOST)
    if len(set(minutes)) < len(minutes):
        violations.add("remind_minutes_before", "must be different from each other")
    return tuple(sorted(minutes, reverse=True))


def _list_name(request: task_service_pb2.ListTasksRequest) -> str:
    """The list that a page token belongs to: its filters included."""
    due = f"{request.due_before.seconds}.{request.due_before.nanos}" if request.HasField("due_before") else ""
    return f"tasks {request.state} {request.include_completed} {request.project.strip()!r} {due}"


def _cursor(list_name: str, page_token: str) -> TaskCursor | None:
    match decode_page_token(list_name, page_token):
        case None:
            return None
        case [int(due), int(made), str(task_id)] if -1 <= due < 1 << 56 and 0 <= made < 1 << 56:
            due_time = None if due < 0 else _EPOCH + due * _MICROSECOND
            return TaskCursor(due_time, _EPOCH + made * _MICROSECOND, task_id)
        case _:
            raise invalid_page_token()
