"""AgentService: which agents there are. They are run by InferenceService."""

from __future__ import annotations

from typing import Any

import grpc
from parley.inference.v1 import agent_service_pb2, agent_service_pb2_grpc

from parley_inference.domain.agents import Agent
from parley_inference.operations.agents import Agents
from parley_inference.servicers.validation import check_get_agent


class AgentServicer(agent_service_pb2_grpc.AgentServiceServicer):
    """Serves the list of agents."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    async def ListAgents(
        self, request: agent_service_pb2.ListAgentsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_service_pb2.ListAgentsResponse:
        """Lists the agents, by their ids."""
        return agent_service_pb2.ListAgentsResponse(agents=[_pack(agent) for agent in self._agents.listed()])

    async def GetAgent(
        self, request: agent_service_pb2.GetAgentRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_service_pb2.GetAgentResponse:
        """Gets one."""
        check_get_agent(request)
        return agent_service_pb2.GetAgentResponse(agent=_pack(self._agents.get(request.agent_id)))


def _pack(agent: Agent) -> agent_service_pb2.Agent:
    return agent_service_pb2.Agent(
        agent_id=agent.agent_id,
        title=agent.title,
        description=agent.description,
        model=agent.model,
        tools=agent.tools,
        searches=agent.searches,
        max_steps=agent.max_steps,
        max_output_tokens=agent.max_output_tokens,
    )
