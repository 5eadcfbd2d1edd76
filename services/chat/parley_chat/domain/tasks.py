"""Tasks: what a user wants to do. Not where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

MOST_OPEN_TASKS = 10_000


class TaskState(StrEnum):
    """How far a task is."""

    OPEN = "open"
    COMPLETED = "completed"


class TaskPriority(StrEnum):
    """How much a task matters."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Task:
    """Something that its user wants to do."""

    task_id: str
    title: str
    notes: str
    due_time: datetime | None
    """None when it is not due at any time."""
    time_zone: str
    """The IANA name of the zone that the due time was meant in."""
    priority: TaskPriority
    state: TaskState
    project: str
    create_time: datetime
    update_time: datetime
    complete_time: datetime | None
    """None while it is open."""
    turn_id: str = ""
    """The turn whose model made it; empty when its user did."""
    recurrence: str = ""
    """The rule by which it recurs, in its normal form (`recurrence.py`); empty when it does not."""
    wall_time: datetime | None = None
    """The local time of this occurrence as the rule means it, without a zone. The due time is later on a day whose clocks skip it."""
    remind_minutes_before: tuple[int, ...] = ()
    """How long before the due time its user is reminded, the earliest reminder first."""
    remind_time: datetime | None = None
    """When its user is reminded next; None when no reminder is to come."""
    next_task_id: str = ""
    """The task of the next occurrence, made when this one was completed."""

    def remind_times(self) -> list[datetime]:
        """When its user is reminded, in order, whether that has passed or not."""
        if self.due_time is None:
            return []
        return sorted(self.due_time - timedelta(minutes=minutes) for minutes in self.remind_minutes_before)


class TooManyTasksError(Exception):
    """The user has as many open tasks as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many open tasks")
        self.limit = limit


class InvalidTaskError(Exception):
    """A field does not go with the others that the task has. `words` continue the field's name."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(f"{field} {words}")
        self.field = field
        self.words = words


def new_task_id() -> str:
    """Names a task."""
    return f"tsk_{uuid4().hex}"
