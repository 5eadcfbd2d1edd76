"""EventService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import Message
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain import conversation
from parley_chat.domain.batches import Batch
from parley_chat.domain.budgets import Budget
from parley_chat.domain.calendar import CalendarAccount, CalendarEvent
from parley_chat.domain.events import Action, Event, ResourceType
from parley_chat.domain.flags import Flag
from parley_chat.domain.projects import Project
from parley_chat.domain.tasks import Task
from parley_chat.domain.tool_approvals import ToolApproval
from parley_chat.domain.webhooks import Webhook
from parley_chat.operations.event_watching import EventWatching
from parley_chat.ports.event_log import EventLog
from parley_chat.servicers.batch_packing import pack_batch
from parley_chat.servicers.budget_fields import pack_budget
from parley_chat.servicers.calendar_messages import pack_account, pack_event
from parley_chat.servicers.flag_fields import pack_flag
from parley_chat.servicers.messages import pack_message, pack_session
from parley_chat.servicers.project_fields import pack_project
from parley_chat.servicers.task_fields import pack_task
from parley_chat.servicers.tool_messages import pack_approval
from parley_chat.servicers.webhook_fields import pack_webhook

PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST = 100, 200
MOST_SEQUENCE = 2**63 - 1

_ACTIONS = {
    Action.CREATED: event_pb2.ACTION_CREATED,
    Action.UPDATED: event_pb2.ACTION_UPDATED,
    Action.DELETED: event_pb2.ACTION_DELETED,
    Action.REMINDED: event_pb2.ACTION_REMINDED,
}
_TYPES = {
    event_pb2.RESOURCE_TYPE_SESSION: ResourceType.SESSION,
    event_pb2.RESOURCE_TYPE_MESSAGE: ResourceType.MESSAGE,
    event_pb2.RESOURCE_TYPE_TASK: ResourceType.TASK,
    event_pb2.RESOURCE_TYPE_CALENDAR_EVENT: ResourceType.CALENDAR_EVENT,
    event_pb2.RESOURCE_TYPE_CALENDAR_ACCOUNT: ResourceType.CALENDAR_ACCOUNT,
    event_pb2.RESOURCE_TYPE_TOOL_APPROVAL: ResourceType.TOOL_APPROVAL,
    event_pb2.RESOURCE_TYPE_BUDGET: ResourceType.BUDGET,
    event_pb2.RESOURCE_TYPE_BATCH: ResourceType.BATCH,
    event_pb2.RESOURCE_TYPE_PROJECT: ResourceType.PROJECT,
    event_pb2.RESOURCE_TYPE_WEBHOOK: ResourceType.WEBHOOK,
    event_pb2.RESOURCE_TYPE_FLAG: ResourceType.FLAG,
}
_RESOURCES: dict[type, tuple[str, Callable[[Any], Message]]] = {
    conversation.Session: ("session", pack_session),
    conversation.Message: ("message", pack_message),
    Batch: ("batch", pack_batch),
    Budget: ("budget", pack_budget),
    Task: ("task", pack_task),
    Project: ("project", pack_project),
    ToolApproval: ("tool_approval", pack_approval),
    CalendarEvent: ("calendar_event", pack_event),
    CalendarAccount: ("calendar_account", pack_account),
    Webhook: ("webhook", pack_webhook),
    Flag: ("flag", pack_flag),
}
"""What is in an event of each kind of thing: the contract's field, and what packs it."""
_PACKED_TYPES = {each: packed for packed, each in _TYPES.items()}

Context = grpc.aio.ServicerContext[object, object]


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    """Serves events to their user."""

    def __init__(self, log: EventLog, watching: EventWatching) -> None:
        self._log = log
        self._watching = watching

    async def ListEvents(
        self, request: event_service_pb2.ListEventsRequest, context: Context
    ) -> event_service_pb2.ListEventsResponse:
        """Lists a page of events."""
        violations = Violations()
        violations.integer("after_sequence", request.after_sequence, least=0, most=MOST_SEQUENCE)
        violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
        types = _types(violations, request.resource_types)
        violations.check()
        size = request.page_size or PAGE_SIZE_DEFAULT
        page = await self._log.page(current_principal().user_id, request.after_sequence, size, types)
        newest_looked_at = max(request.after_sequence, page.newest)
        following = page.events[-1].sequence if len(page.events) == size else newest_looked_at
        return event_service_pb2.ListEventsResponse(
            events=[pack_logged(event) for event in page.events],
            next_after_sequence=following,
            newest_sequence=page.newest,
        )

    async def WatchEvents(
        self, request: event_service_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[event_service_pb2.WatchEventsResponse]:
        """Tells events as they happen."""
        violations = Violations()
        violations.integer("after_sequence", request.after_sequence, least=-1, most=MOST_SEQUENCE)
        types = _types(violations, request.resource_types)
        violations.check()
        user_id = current_principal().user_id
        async with aclosing(self._watching.watch(user_id, request.after_sequence, types)) as watched:
            async for each in watched:
                response = event_service_pb2.WatchEventsResponse(sequence=each.sequence)
                if each.event is not None:
                    response.event.CopyFrom(pack_logged(each.event))
                yield response


def _types(violations: Violations, asked: Sequence[event_pb2.ResourceType.ValueType]) -> Collection[ResourceType]:
    violations.count("resource_types", asked, most=len(_TYPES))
    for place, each in enumerate(asked[: len(_TYPES)]):
        violations.choice(f"resource_types[{place}]", each, _TYPES)
    return [_TYPES[each] for each in asked if each in _TYPES]


def pack_logged(event: Event) -> event_pb2.Event:
    """An event of the log, as the contract has it."""
    change = event.change
    packed = event_pb2.Event(
        sequence=event.sequence,
        action=_ACTIONS[change.action],
        resource_type=_PACKED_TYPES[change.resource_type],
        resource_id=change.resource_id,
        turn_id=change.turn_id,
    )
    packed.time.FromDatetime(event.time)
    if change.remind_time:
        packed.remind_time.FromDatetime(change.remind_time)
    if change.resource is not None:
        field, pack = _RESOURCES[type(change.resource)]
        getattr(packed, field).CopyFrom(pack(change.resource))
    return packed
