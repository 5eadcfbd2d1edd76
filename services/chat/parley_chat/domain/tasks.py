"""Tasks: what a user wants to do. Not where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

MOST_OPEN_TASKS = 10_000

READ_SCOPE = "tasks:read"
"""What a token needs to see tasks, also as passages that an answer rests on."""


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


class TooManyTasksError(Exception):
    """The user has as many open tasks as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many open tasks")
        self.limit = limit


def new_task_id() -> str:
    """Names a task."""
    return f"tsk_{uuid4().hex}"
