"""The operator's named agents: `parley.ai.v1.AgentService`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from parley.ai.v1 import agent_service_pb2 as pb

from parley_client.generation import WHOLE_TEXT_SECONDS
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["AgentService"]
LIST_AGENTS = Rpc(_SERVICE, "ListAgents", pb.ListAgentsRequest, pb.ListAgentsResponse)
PROCESS = Rpc(_SERVICE, "Process", pb.ProcessRequest, pb.ProcessResponse)
STREAM_PROCESS = Rpc(_SERVICE, "StreamProcess", pb.StreamProcessRequest, pb.StreamProcessResponse)


class Agents:
    """`client.agents`: named agents at work, of which nothing is kept. Raises ParleyError; NotFoundError for a name that none has."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> Sequence[pb.Agent]:
        """The agents, by name."""
        return tuple((await self._connection.call(LIST_AGENTS, pb.ListAgentsRequest())).agents)

    async def process(
        self,
        agent_id: str,
        input: str,  # noqa: A002 - the contract's name
        *,
        model: str = "",
        project: str = "",
        time_zone: str = "",
        timeout_seconds: float = WHOLE_TEXT_SECONDS,
    ) -> pb.ProcessResponse:
        """Lets an agent work on an input and returns the whole.

        model: the model or alias, in place of the agent's own.
        project: where an agent looks for documents; in all by default.
        time_zone: the user's, an IANA name: what "tomorrow at nine" means. UTC by default.

        What the agent's tools did is in `tool_uses`, and stays when the call fails; a call that is sent again runs them again.
        """
        request = pb.ProcessRequest(agent_id=agent_id, input=input, model=model, project=project, time_zone=time_zone)
        return await self._connection.call(PROCESS, request, timeout_seconds=timeout_seconds)

    def stream(
        self,
        agent_id: str,
        input: str,  # noqa: A002 - the contract's name
        *,
        model: str = "",
        project: str = "",
        time_zone: str = "",
    ) -> AsyncGenerator[pb.StreamProcessResponse, None]:
        """Lets an agent work and streams it; the arguments are those of `process`. Closing the iterator ends the work.

        Work that fails gives a `failed` event and then raises the ParleyError of the failure.
        """
        request = pb.StreamProcessRequest(
            agent_id=agent_id, input=input, model=model, project=project, time_zone=time_zone
        )
        return self._connection.stream(STREAM_PROCESS, request)
