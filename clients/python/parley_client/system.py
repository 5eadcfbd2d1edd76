"""What runs, and how it is: `parley.system.v1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.system.v1 import system_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["SystemService"]
GET_HEALTH = Rpc(_SERVICE, "GetHealth", pb.GetHealthRequest, pb.GetHealthResponse)
GET_STATUS = Rpc(_SERVICE, "GetStatus", pb.GetStatusRequest, pb.GetStatusResponse)
RUN_SELF_TEST = Rpc(_SERVICE, "RunSelfTest", pb.RunSelfTestRequest, pb.RunSelfTestResponse)


class System:
    """`client.system`: the state of Parley as a whole. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def healthy(self) -> bool:
        """Whether Parley can answer messages. Needs no token."""
        response = await self._connection.call(GET_HEALTH, pb.GetHealthRequest())
        return response.state == pb.SERVING_STATE_SERVING

    async def status(self) -> pb.GetStatusResponse:
        """The state of each service, and the model in use."""
        return await self._connection.call(GET_STATUS, pb.GetStatusRequest())

    async def self_test(self) -> pb.RunSelfTestResponse:
        """Uses every service once: what worked, and how long it took. Costs one short answer of the default model."""
        return await self._connection.call(RUN_SELF_TEST, pb.RunSelfTestRequest())
