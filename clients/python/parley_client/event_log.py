"""What changed in what the user owns: `parley.events.v1`. Not the events of a turn, which `turn.py` reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import grpc
from parley.events.v1 import event_pb2
from parley.events.v1 import event_service_pb2 as pb

from parley_client.connection import cancelled_by_caller
from parley_client.errors import ClientClosedError, ParleyError, UnauthenticatedError, UnavailableError, error_from
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.backoff import Backoff
    from parley_client.connection import Connection

ResourceName: TypeAlias = Literal[
    "session", "message", "task", "project", "calendar_event", "calendar_account", "webhook", "flag"
]
"""What kind of thing an event is about."""

_TYPES: dict[str, event_pb2.ResourceType.ValueType] = {
    "session": event_pb2.RESOURCE_TYPE_SESSION,
    "message": event_pb2.RESOURCE_TYPE_MESSAGE,
    "task": event_pb2.RESOURCE_TYPE_TASK,
    "project": event_pb2.RESOURCE_TYPE_PROJECT,
    "calendar_event": event_pb2.RESOURCE_TYPE_CALENDAR_EVENT,
    "calendar_account": event_pb2.RESOURCE_TYPE_CALENDAR_ACCOUNT,
    "webhook": event_pb2.RESOURCE_TYPE_WEBHOOK,
    "flag": event_pb2.RESOURCE_TYPE_FLAG,
}

_SERVICE = pb.DESCRIPTOR.services_by_name["EventService"]
LIST_EVENTS = Rpc(_SERVICE, "ListEvents", pb.ListEventsRequest, pb.ListEventsResponse)
WATCH_EVENTS = Rpc(_SERVICE, "WatchEvents", pb.WatchEventsRequest, pb.WatchEventsResponse)


class EventLog:
    """`client.events`: the history of what the user owns. Raises ParleyError."""

    def __init__(self, connection: Connection, backoff: Backoff) -> None:
        self._connection = connection
        self._backoff = backoff

    async def list(
        self, *, after_sequence: int = 0, page_size: int = 0, only: Sequence[ResourceName] = ()
    ) -> pb.ListEventsResponse:
        """A page of events after a cursor, oldest first, and where the next one goes on."""
        request = pb.ListEventsRequest(
            after_sequence=after_sequence, page_size=page_size, resource_types=[_TYPES[each] for each in only]
        )
        return await self._connection.call(LIST_EVENTS, request)

    async def watch(
        self, *, after_sequence: int = -1, only: Sequence[ResourceName] = ()
    ) -> AsyncGenerator[event_pb2.Event, None]:
        """The events after a cursor, and each further one as it happens, until the caller stops reading; from now on by default.

        Every event comes once and in order, also across cuts of the connection. Raises the ParleyError of the last cut when the backoff
        is used up.
        """
        cursor = after_sequence
        failures = 0
        token, refusal = "", None
        at = self._connection.at(WATCH_EVENTS)
        while True:
            # A cursor means something where it was made. Without one, what happens now is watched wherever it can be.
            free = cursor == -1 or self._connection.shared_data
            other = self._connection.at(WATCH_EVENTS) if free else at
            token, refusal = (token, refusal) if other is at else ("", None)
            at = other
            try:
                token = await at.token(instead_of=token, refusal=refusal)
                request = pb.WatchEventsRequest(after_sequence=cursor, resource_types=[_TYPES[each] for each in only])
                call = at.open_stream(WATCH_EVENTS, request, token)
                try:
                    while isinstance(response := await call.read(), pb.WatchEventsResponse):
                        cursor, failures, refusal = response.sequence, 0, None
                        at.heard(WATCH_EVENTS)
                        if response.HasField("event"):
                            yield response.event
                except grpc.aio.AioRpcError as cut:
                    told = error_from(cut)
                    at.note(WATCH_EVENTS, told)
                    raise told from None
                except asyncio.CancelledError:
                    if cancelled_by_caller():
                        raise
                    raise ClientClosedError from None
                finally:
                    call.cancel()
                raise UnavailableError("The stream of events ended.", code=grpc.StatusCode.UNAVAILABLE)
            except UnauthenticatedError as error:
                # A token may end while the stream lives, and another one begin.
                if refusal is not None or not token:
                    raise
                refusal = error
            except ParleyError as error:
                failures += 1
                pause = self._backoff.pause_seconds(failures, error.retry_after) if error.retryable else None
                if pause is None:
                    raise
                await asyncio.sleep(pause)
