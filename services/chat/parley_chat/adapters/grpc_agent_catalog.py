"""The inference service as a list of agents."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from parley.inference.v1 import agent_service_pb2, agent_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.inference_errors import generation_error_from
from parley_chat.domain.agents import Agent

CALL_SECONDS = 10.0


class GrpcAgentCatalog:
    """Asks through a channel to inference, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = agent_service_pb2_grpc.AgentServiceStub(channel)
        self._token_for = token_for

    async def agents(self, user_id: str) -> tuple[Agent, ...]:
        """Lists the agents, by name."""
        request = agent_service_pb2.ListAgentsRequest()
        try:
            response = await self._stub.ListAgents(
                request, metadata=bearer(self._token_for(user_id)), timeout=CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        return tuple(_agent(agent) for agent in response.agents)

    async def agent(self, user_id: str, agent_id: str) -> Agent:
        """Gets one agent."""
        request = agent_service_pb2.GetAgentRequest(agent_id=agent_id)
        try:
            response = await self._stub.GetAgent(
                request, metadata=bearer(self._token_for(user_id)), timeout=CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        return _agent(response.agent)


def _agent(agent: agent_service_pb2.Agent) -> Agent:
    return Agent(
        agent_id=agent.agent_id,
        title=agent.title,
        description=agent.description,
        tools=tuple(agent.tools),
        max_steps=agent.max_steps,
        searches=agent.searches,
    )
