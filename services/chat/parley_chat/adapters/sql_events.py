"""The log of changes in SQL. `record` writes to it within the transaction of the change; a counter in the user's row numbers the events.

Whoever will record holds the user's row first, so that the numbers have the order of the commits and nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import ColumnElement, Executable, Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.calendar_json import account_from_json, event_from_json, to_json
from parley_chat.adapters.sql_schema import events, users
from parley_chat.adapters.turn_event_lines import decode_message
from parley_chat.domain.batches import Batch, BatchState
from parley_chat.domain.budgets import Budget, BudgetPeriod
from parley_chat.domain.calendar import CalendarAccount, CalendarEvent
from parley_chat.domain.conversation import Session
from parley_chat.domain.events import Action, Change, Event, Resource, ResourceType
from parley_chat.domain.flags import Flag
from parley_chat.domain.projects import Project
from parley_chat.domain.tasks import Task, TaskPriority, TaskState
from parley_chat.domain.tool_approvals import ApprovalState, ToolApproval, ToolEffect
from parley_chat.domain.webhooks import DisableReason, Webhook, WebhookState
from parley_chat.ports.event_log import EventPage


class NoNews:
    """The port `EventNews` where nobody watches."""

    def tell(self, user_id: str) -> None:
        """Does nothing."""


NO_NEWS = NoNews()


class SqlEventLog:
    """The port `EventLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, user_id: str, after: int, limit: int, types: Collection[ResourceType]) -> EventPage:
        """Reads along the primary key."""
        query = (
            select(events)
            .where(events.c.user_id == user_id, events.c.sequence > after)
            .order_by(events.c.sequence)
            .limit(limit)
        )
        if types:
            query = query.where(events.c.resource_type.in_([each.value for each in types]))
        async with self._database.read() as connection:
            counter = select(users.c.event_counter).where(users.c.user_id == user_id)
            newest = (await connection.execute(counter)).scalar_one_or_none() or 0
            if newest <= after:
                return EventPage((), newest)
            return EventPage([_event(row) for row in await connection.execute(query)], newest)

    async def newest(self, user_ids: Collection[str]) -> Mapping[str, int]:
        """Reads the counters."""
        query = select(users.c.user_id, users.c.event_counter).where(users.c.user_id.in_(user_ids))
        async with self._database.read() as connection:
            return {row.user_id: row.event_counter for row in await connection.execute(query)}


async def hold_user(connection: AsyncConnection, user_id: ColumnElement[str] | str) -> None:
    """Holds the user's row until the transaction ends. SQLite has one writer, and needs no holding."""
    if connection.dialect.name != "sqlite":
        await connection.execute(select(users.c.user_id).where(users.c.user_id == user_id).with_for_update())


def claiming(*also: ColumnElement[Any]) -> Executable:
    """What `claim_sequences` executes: it gives the last of the numbers, and what `also` asks for beside it. Written once for many calls,
    because writing a statement takes longer than executing it."""
    return (
        update(users)
        .where(users.c.user_id == bindparam("claiming_user"))
        .values(event_counter=users.c.event_counter + bindparam("claimed"))
        .returning(users.c.event_counter, *also)
    )


_CLAIMING = claiming()
_WRITING = insert(events)


async def claim_sequences(
    connection: AsyncConnection, user_id: str, count: int, statement: Executable = _CLAIMING
) -> Row[Any]:
    """Numbers the next `count` events of a user, and holds the user's row: the last of the numbers, and what else `statement` gives."""
    return (await connection.execute(statement, {"claiming_user": user_id, "claimed": count})).one()


async def record(connection: AsyncConnection, user_id: str, changes: Sequence[Change], time: datetime) -> None:
    """Numbers changes and writes them."""
    if changes:
        claimed = await claim_sequences(connection, user_id, len(changes))
        await write(connection, user_id, changes, time, last_sequence=claimed.event_counter)


async def write(
    connection: AsyncConnection, user_id: str, changes: Sequence[Change], time: datetime, *, last_sequence: int
) -> None:
    """Writes changes whose numbers were claimed, in their order."""
    first = last_sequence - len(changes) + 1
    await connection.execute(
        _WRITING,
        [
            {
                "user_id": user_id,
                "sequence": first + place,
                "time": time,
                "action": change.action.value,
                "resource_type": change.resource_type.value,
                "resource_id": change.resource_id,
                "turn_id": change.turn_id,
                "snapshot": _snapshot(change.resource),
                "remind_time": change.remind_time,
            }
            for place, change in enumerate(changes)
        ],
    )


def _snapshot(resource: Resource | None) -> Any:
    if resource is None:
        return None
    if isinstance(resource, CalendarEvent | CalendarAccount):
        return to_json(resource)
    return _plain(asdict(resource))


def _plain(value: Any) -> Any:
    """What JSON can hold of a value: times as text."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _event(row: Row[Any]) -> Event:
    resource_type = ResourceType(row.resource_type)
    resource = None if row.snapshot is None else _resource(resource_type, row.snapshot)
    change = Change(Action(row.action), resource_type, row.resource_id, resource, row.turn_id, row.remind_time)
    return Event(row.sequence, row.time, change)


def _resource(resource_type: ResourceType, snapshot: dict[str, Any]) -> Resource:
    match resource_type:
        case ResourceType.SESSION:
            return Session(**{**snapshot, **_times(snapshot, "create_time", "update_time")})
        case ResourceType.MESSAGE:
            return decode_message(snapshot)
        case ResourceType.PROJECT:
            return Project(**{**snapshot, **_times(snapshot, "create_time", "update_time")})
        case ResourceType.BATCH:
            times = _times(snapshot, "create_time", "start_time", "end_time")
            return Batch(**{**snapshot, **times, "state": BatchState(snapshot["state"])})
        case ResourceType.TOOL_APPROVAL:
            return ToolApproval(
                **{
                    **snapshot,
                    **_times(snapshot, "create_time", "expire_time", "decide_time"),
                    "effect": ToolEffect(snapshot["effect"]),
                    "state": ApprovalState(snapshot["state"]),
                }
            )
        case ResourceType.WEBHOOK:
            times = _times(snapshot, "create_time", "update_time", "previous_secret_expire_time")
            return Webhook(
                **{
                    **snapshot,
                    **times,
                    "event_types": tuple(snapshot["event_types"]),
                    "state": WebhookState(snapshot["state"]),
                    "disable_reason": DisableReason(snapshot["disable_reason"]),
                }
            )
        case ResourceType.BUDGET:
            times = _times(snapshot, "create_time", "update_time")
            return Budget(**{**snapshot, **times, "period": BudgetPeriod(snapshot["period"])})
        case ResourceType.FLAG:
            users = {name: tuple(snapshot[name]) for name in ("users_on", "users_off")}
            return Flag(**{**snapshot, **_times(snapshot, "create_time", "update_time"), **users})
        case ResourceType.CALENDAR_EVENT:
            return event_from_json(snapshot)
        case ResourceType.CALENDAR_ACCOUNT:
            return account_from_json(snapshot)
        case ResourceType.TASK:
            return Task(
                **{
                    **snapshot,
                    **_times(
                        snapshot, "due_time", "create_time", "update_time", "complete_time", "remind_time", "wall_time"
                    ),
                    # An event from before tasks reminded has no such field.
                    "remind_minutes_before": tuple(snapshot.get("remind_minutes_before", ())),
                    "priority": TaskPriority(snapshot["priority"]),
                    "state": TaskState(snapshot["state"]),
                }
            )


def _times(snapshot: dict[str, Any], *names: str) -> dict[str, datetime | None]:
    return {name: datetime.fromisoformat(snapshot[name]) if snapshot.get(name) else None for name in names}
