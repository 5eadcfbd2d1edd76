"""Agents: which there are, and what a request becomes that names one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from parley_inference.domain.agents import Agent
from parley_inference.domain.errors import AgentNotFoundError
from parley_inference.domain.nearest_names import nearest_names
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role, Sampling

NO_MORE_TOOLS = (
    "You have used all the tool calls that you have for this. Answer now, with what you found, and say plainly what you could "
    "not find out."
)


class Agents:
    """The agents that there are. They do not change while the service runs."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._agents = {agent.agent_id: agent for agent in sorted(agents, key=lambda agent: agent.agent_id)}

    def listed(self) -> Sequence[Agent]:
        """All of them, by their ids."""
        return list(self._agents.values())

    def get(self, agent_id: str) -> Agent:
        """The agent of this id. Raises AgentNotFoundError."""
        agent = self._agents.get(agent_id)
        if agent is None:
            raise AgentNotFoundError(agent_id, nearest_names(agent_id, self._agents))
        return agent

    def prepared(self, request: GenerationRequest) -> GenerationRequest:
        """The request as the agent that it names asks it; as it is when it names none. Raises AgentNotFoundError."""
        if not request.agent_id:
            return request
        agent = self.get(request.agent_id)
        tools = tuple(tool for tool in request.tools if agent.may_use(tool.name))
        head = [agent.instructions]
        if tools and _rounds(request.messages) >= agent.max_steps:
            tools = ()
            head.append(NO_MORE_TOOLS)
        return replace(
            request,
            messages=(*(PromptMessage(Role.SYSTEM, text) for text in head), *request.messages),
            model=request.model or agent.model,
            tools=tools,
            sampling=_limited(request.sampling, agent),
            offline_skill=agent.offline_skill,
        )


def _rounds(messages: Sequence[PromptMessage]) -> int:
    """How often tools were called since the user last spoke. Calls that were made together are one round."""
    rounds = 0
    for message in reversed(messages):
        if message.role is Role.USER:
            break
        rounds += bool(message.tool_calls)
    return rounds


def _limited(sampling: Sampling, agent: Agent) -> Sampling:
    limits = [limit for limit in (sampling.max_output_tokens, agent.max_output_tokens or None) if limit is not None]
    return replace(
        sampling,
        temperature=agent.temperature if sampling.temperature is None else sampling.temperature,
        max_output_tokens=min(limits, default=None),
    )
