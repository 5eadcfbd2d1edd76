"""Events: what changed in what a user owns, in the order in which it did. Not the events of a turn, which are turn.py's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from parley_chat.domain.batches import Batch
from parley_chat.domain.budgets import Budget
from parley_chat.domain.calendar import SHOWN_DESCRIPTION, CalendarAccount, CalendarEvent
from parley_chat.domain.conversation import Message, Session
from parley_chat.domain.flags import Flag
from parley_chat.domain.projects import Project
from parley_chat.domain.tasks import Task
from parley_chat.domain.tool_approvals import ToolApproval
from parley_chat.domain.webhooks import Webhook

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
    CALENDAR_EVENT = "calendar_event"
    CALENDAR_ACCOUNT = "calendar_account"
    TOOL_APPROVAL = "tool_approval"
    BATCH = "batch"
    PROJECT = "project"
    BUDGET = "budget"
    WEBHOOK = "webhook"
    FLAG = "flag"


Resource = (
    Webhook
    | Session
    | Message
    | Task
    | ToolApproval
    | Project
    | Batch
    | Budget
    | CalendarEvent
    | CalendarAccount
    | Flag
)


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


def changed_project(action: Action, project: Project, turn_id: str) -> Change:
    """A project that was made or changed."""
    return Change(action, ResourceType.PROJECT, project.project_id, project, turn_id)


def changed_batch(action: Action, batch: Batch) -> Change:
    """A batch that was made, paused or resumed, or has ended."""
    return Change(action, ResourceType.BATCH, batch.batch_id, batch)


def deleted_batch(batch_id: str) -> Change:
    """A batch that is no more."""
    return Change(Action.DELETED, ResourceType.BATCH, batch_id, None)


def changed_webhook(action: Action, webhook: Webhook) -> Change:
    """A webhook that was made or changed, or that failures have disabled."""
    return Change(action, ResourceType.WEBHOOK, webhook.webhook_id, webhook)


def changed_flag(action: Action, flag: Flag) -> Change:
    """A flag that was made or changed: an event of the administrator who did it."""
    return Change(action, ResourceType.FLAG, flag.name, flag)


def changed_budget(action: Action, budget: Budget) -> Change:
    """A budget that was made or changed."""
    return Change(action, ResourceType.BUDGET, budget.budget_id, budget)


def changed_approval(action: Action, approval: ToolApproval) -> Change:
    """A call that the user is asked about, or what became of it. Long arguments stay where approvals are kept."""
    shown = replace(
        approval,
        arguments_json=_short(approval.arguments_json),
        edited_arguments_json=_short(approval.edited_arguments_json),
    )
    return Change(action, ResourceType.TOOL_APPROVAL, approval.tool_call_id, shown, approval.turn_id)


def _short(text: str) -> str:
    return text if len(text) <= MOST_TEXT_CHARACTERS else ""


def changed_event(action: Action, event: CalendarEvent, turn_id: str = "") -> Change:
    """An event of the calendar that was made or changed. Its single occurrences, and the rest of a long text, stay where it is kept."""
    details = replace(event.body.details, description=event.body.details.description[:SHOWN_DESCRIPTION])
    span = replace(event.body.span, zone=event.body.span.zone.pinned(event.body.span.begin))
    body = replace(event.body, details=details, span=span, added=(), excluded=(), overrides=())
    shown = replace(event, body=body)
    return Change(action, ResourceType.CALENDAR_EVENT, event.event_id, shown, turn_id)


def changed_account(action: Action, account: CalendarAccount) -> Change:
    """An account of the calendar that was made or changed."""
    return Change(action, ResourceType.CALENDAR_ACCOUNT, account.account_id, account)


def reminded_task(task: Task, remind_time: datetime) -> Change:
    """A reminder of a task, meant for a time that has come."""
    return Change(Action.REMINDED, ResourceType.TASK, task.task_id, task, remind_time=remind_time)
