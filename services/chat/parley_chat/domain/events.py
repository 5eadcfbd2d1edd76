"""Events: what changed in what a user owns, in the order in which it did. Not the events of a turn, which are turn.py's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from parley_chat.domain.conversation import Message, Session
from parley_chat.domain.tasks import Task

MOST_TEXT_CHARACTERS = 10_000
"""Of a message in an event."""


class Action(StrEnum):
    """What was done to a thing."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    REMINDED = "reminded"


class ResourceType(StrEnum):
    """What kind of thing it is."""

    SESSION = "session"
    MESSAGE = "message"
    TASK = "task"


Resource = Session | Message | Task


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changes now."""

    action: Action
    resource_type: ResourceType
    resource_id: str
    resource: Resource | None
    """As it is from now on; None when it is deleted."""
    turn_id: str = ""
    remind_time: datetime | None = None
    """The time that a reminder was meant for; None when it is none."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed."""

    sequence: int
    """Its place among the user's, from 1, without gaps."""
    time: datetime
    change: Change


def changed_session(action: Action, session: Session) -> Change:
    """A session that was made or changed."""
    return Change(action, ResourceType.SESSION, session.session_id, session)


def changed_message(action: Action, message: Message) -> Change:
    """A message that was made, or an answer that has ended. Its sources, and a long text, stay where messages are kept."""
    text = message.text if len(message.text) <= MOST_TEXT_CHARACTERS else ""
    shown = replace(message, text=text, citations=(), tool_uses=())
    return Change(action, ResourceType.MESSAGE, message.message_id, shown, message.turn_id)


def changed_task(action: Action, task: Task, turn_id: str) -> Change:
    """A task that was made or changed."""
    return Change(action, ResourceType.TASK, task.task_id, task, turn_id)


def reminded_task(task: Task, remind_time: datetime) -> Change:
    """A reminder of a task, meant for a time that has come."""
    return Change(Action.REMINDED, ResourceType.TASK, task.task_id, task, remind_time=remind_time)
