"""Agents at work: passages of the user's documents for those that search, then rounds of a generation that the agent answers and of the
tools that it calls. What an agent is told and may spend is inference's; how a tool is run is tool_calls.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from parley_chat.domain.agents import Agent
from parley_chat.domain.conversation import Citation, Role
from parley_chat.domain.errors import KnowledgeUnavailableError
from parley_chat.domain.generation import Meter
from parley_chat.domain.prompt import PromptLine, time_line
from parley_chat.domain.tokens import FOUND_SCOPES
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.usage import UsagePurpose
from parley_chat.operations.admission import Admission
from parley_chat.operations.agent_work import AgentWork, ToolUseCalled, ToolUseReturned
from parley_chat.operations.text_generations import Gathering, TextEvent, TextGenerations, WholeText
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.ports.agent_catalog import AgentCatalog
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.text_model import TextRequest
from parley_chat.ports.toolbox import ToolCall
from parley_chat.ports.tracing import Tracing

WITHOUT_DOCUMENTS = "The documents cannot be searched right now; this answer is given without them."
NO_MORE_TOOLS = "The agent has used tools as often as it may for one answer, and answers with what it has."
ANSWER_NOW = (
    "You have used tools as often as you may for this. Answer now, with what you found, and say plainly what you could not find out "
    "or do."
)


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What a user asks an agent. Checked at the door."""

    user_id: str
    scopes: tuple[str, ...]
    """What the user's token allows."""
    agent_id: str
    input: str
    model: str
    """The name or alias; the agent's own when empty."""
    project: str
    """Where documents are looked for; everywhere when empty."""
    time_zone: str
    """The user's, an IANA name."""


@dataclass(frozen=True, slots=True)
class AgentSearch:
    """How an agent's passages are searched."""

    passages: int
    """How many it is given at most."""
    seconds: float
    """After which it goes on without."""


@dataclass(frozen=True, slots=True)
class AgentSources:
    """The passages that an agent is given. Not empty."""

    sources: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class AgentNotice:
    """Something that the reader should know."""

    words: str


AgentEvent = AgentSources | AgentNotice | ToolUseCalled | ToolUseReturned | TextEvent


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What an agent said, whole."""

    text: WholeText
    sources: tuple[Citation, ...]
    notices: tuple[str, ...]
    tool_uses: tuple[ToolUse, ...]


class Agents:
    """Lists agents and runs them."""

    def __init__(
        self,
        catalog: AgentCatalog,
        knowledge: Knowledge,
        generations: TextGenerations,
        admission: Admission,
        tools: ToolCalls,
        tracing: Tracing,
        search: AgentSearch,
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._knowledge = knowledge
        self._generations = generations
        self._admission = admission
        self._tools = tools
        self._tracing = tracing
        self._search = search
        self._now = now

    async def agents(self, user_id: str) -> Sequence[Agent]:
        """Lists the agents, by name."""
        return await self._catalog.agents(user_id)

    async def process(self, task: AgentTask) -> AsyncGenerator[AgentEvent, None]:
        """Lets an agent work. Closing it ends the work; what tools did stays.

        Raises GenerationError, TooManyTurnsError and DrainingError.
        """
        with self._admission.places(task.user_id):
            # It begins when the user asks: the search is part of the time to the first text.
            meter = Meter()
            agent = await self._catalog.agent(task.user_id, task.agent_id)
            sources: tuple[Citation, ...] = ()
            if agent.searches:
                found = await self._passages(task)
                if found is None:
                    yield AgentNotice(WITHOUT_DOCUMENTS)
                elif found:
                    sources = found
                    yield AgentSources(sources)
            request = TextRequest(
                user_id=task.user_id,
                lines=(PromptLine(Role.USER, task.input),),
                instructions=time_line(self._now(), task.time_zone),
                model=task.model,
                passages=sources,
                agent_id=agent.agent_id,
            )
            async with aclosing(self._rounds(agent, task, request, AgentWork(meter))) as events:
                async for event in events:
                    yield event

    async def answer(self, task: AgentTask) -> AgentAnswer:
        """Lets an agent work and gives the whole."""
        gathering = Gathering()
        sources: tuple[Citation, ...] = ()
        notices: list[str] = []
        uses: list[ToolUse] = []
        async with aclosing(self.process(task)) as events:
            async for event in events:
                match event:
                    case AgentSources():
                        sources = event.sources
                    case AgentNotice(words):
                        notices.append(words)
                    case ToolUseReturned(use):
                        uses.append(use)
                    case ToolUseCalled():
                        pass
                    case _:
                        gathering.take(event)
        return AgentAnswer(gathering.whole(), sources, tuple(notices), tuple(uses))

    async def _rounds(
        self, agent: Agent, task: AgentTask, request: TextRequest, work: AgentWork
    ) -> AsyncGenerator[AgentEvent, None]:
        """Generates, and runs what the agent calls, until it calls nothing more."""
        # Inference offers a model no others either; here the list decides what is run.
        offered = await self._tools.offered(task.user_id, task.scopes)
        tools = tuple(tool for tool in offered if agent.may_use(tool.name))
        most = min(self._tools.rounds, agent.max_steps)
        for number in range(most + 1):
            request = replace(request, rounds=work.rounds(), tools=tools)
            if number == most:
                request = replace(request, tools=())
                if number and tools:
                    yield AgentNotice(NO_MORE_TOOLS)
                    request = replace(request, instructions=f"{request.instructions}\n\n{ANSWER_NOW}")
            meter = work.next_meter()
            writing = self._generations.write_round(request, UsagePurpose.AGENT, meter, spent_seconds=work.seconds())
            async with aclosing(writing) as events:
                async for event in events:
                    for told in work.take(event, may_call=bool(request.tools)):
                        yield told
            if not work.calls:
                return
            for use in work.begin_tools():
                yield ToolUseCalled(use)
            async for returned in self._run(agent, task, work):
                yield returned

    async def _run(self, agent: Agent, task: AgentTask, work: AgentWork) -> AsyncGenerator[ToolUseReturned, None]:
        """Runs the calls that have no result yet, one after the other, in the order in which the model made them."""
        for place, use in enumerate(work.unreturned()):
            call = ToolCall(
                user_id=task.user_id,
                scopes=task.scopes,
                tool_call_id=use.tool_call_id,
                tool=use.tool,
                arguments_json=use.arguments_json,
                time_zone=task.time_zone,
                project=task.project,
            )
            outcome = await self._tools.run(call, "chat.agent.tool", place=place, allowed=agent.may_use(use.tool))
            yield ToolUseReturned(work.return_tool(use, outcome))

    async def _passages(self, task: AgentTask) -> tuple[Citation, ...] | None:
        """Searches for what the agent is asked; None when that cannot be done."""
        with self._tracing.stage("chat.agent.search") as stage:
            try:
                async with asyncio.timeout(self._search.seconds):
                    found = await self._knowledge.search(
                        task.user_id,
                        task.input,
                        self._search.passages,
                        task.project,
                        documents_only=not FOUND_SCOPES.issubset(task.scopes),
                    )
            except (KnowledgeUnavailableError, TimeoutError):
                return None
            stage.record({"parley.search.passages": len(found)})
            return found
