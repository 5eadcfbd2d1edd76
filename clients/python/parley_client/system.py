"""What runs, and how it is: `parley.system.v1`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from parley.system.v1 import system_service_pb2 as pb

from parley_client.rpc import Rpc
from parley_client.watching import watched

if TYPE_CHECKING:
    from parley_client.backoff import Backoff
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["SystemService"]
GET_HEALTH = Rpc(_SERVICE, "GetHealth", pb.GetHealthRequest, pb.GetHealthResponse)
GET_STATUS = Rpc(_SERVICE, "GetStatus", pb.GetStatusRequest, pb.GetStatusResponse)
WATCH_STATUS = Rpc(_SERVICE, "WatchStatus", pb.WatchStatusRequest, pb.WatchStatusResponse)
RUN_SELF_TEST = Rpc(_SERVICE, "RunSelfTest", pb.RunSelfTestRequest, pb.RunSelfTestResponse)


class System:
    """`client.system`: the state of Parley as a whole. Raises ParleyError."""

    def __init__(self, connection: Connection, stream_backoff: Backoff) -> None:
        self._connection = connection
        self._stream_backoff = stream_backoff

    async def healthy(self) -> bool:
        """Whether Parley can answer messages. Needs no token."""
        response = await self._connection.call(GET_HEALTH, pb.GetHealthRequest())
        return response.state == pb.SERVING_STATE_SERVING

    async def status(self) -> pb.GetStatusResponse:
        """The state of each service, provider and queue, and the model in use."""
        return await self._connection.call(GET_STATUS, pb.GetStatusRequest())

    async def watch(self) -> AsyncGenerator[pb.GetStatusResponse, None]:
        """The same, and again whenever something of it changes, until the caller stops reading.

        A stream that is cut is begun again, with pauses; then, and every now and then, the same comes again. Raises the ParleyError of the
        last cut when the backoff is used up.
        """
        async with aclosing(
            watched(self._connection, self._stream_backoff, WATCH_STATUS, pb.WatchStatusRequest())
        ) as messages:
            async for message in messages:
                yield message.status

    async def self_test(self) -> pb.RunSelfTestResponse:
        """Uses every service once: what worked, and how long it took. Costs one short answer of the default model."""
        return await self._connection.call(RUN_SELF_TEST, pb.RunSelfTestRequest())
