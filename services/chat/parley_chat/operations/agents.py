"""Agents at work: passages of the user's documents for those that search, then a generation that the agent answers.

What an agent is told and may spend is inference's. Agents are offered no tools here: those are a turn's (answer_tools.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from parley_chat.domain.agents import Agent
from parley_chat.domain.conversation import Citation, Role
from parley_chat.domain.errors import KnowledgeUnavailableError
from parley_chat.domain.generation import Meter
from parley_chat.domain.prompt import PromptLine
from parley_chat.operations.admission import Admission
from parley_chat.operations.text_generations import Gathering, TextEvent, TextGenerations, WholeText
from parley_chat.ports.agent_catalog import AgentCatalog
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.text_model import TextRequest
from parley_chat.ports.tracing import Tracing

WITHOUT_DOCUMENTS = "The documents cannot be searched right now; this answer is given without them."


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What a user asks an agent. Checked at the door."""

    user_id: str
    agent_id: str
    input: str
    model: str
    """The name or alias; the agent's own when empty."""
    project: str
    """Where an agent that searches looks; everywhere when empty."""


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


AgentEvent = AgentSources | AgentNotice | TextEvent


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What an agent said, whole."""

    text: WholeText
    sources: tuple[Citation, ...]
    notices: tuple[str, ...]


class Agents:
    """Lists agents and runs them."""

    def __init__(
        self,
        catalog: AgentCatalog,
        knowledge: Knowledge,
        generations: TextGenerations,
        admission: Admission,
        tracing: Tracing,
        search: AgentSearch,
    ) -> None:
        self._catalog = catalog
        self._knowledge = knowledge
        self._generations = generations
        self._admission = admission
        self._tracing = tracing
        self._search = search

    async def agents(self, user_id: str) -> Sequence[Agent]:
        """Lists the agents, by name."""
        return await self._catalog.agents(user_id)

    async def process(self, task: AgentTask) -> AsyncGenerator[AgentEvent, None]:
        """Lets an agent work. Raises GenerationError, TooManyTurnsError and DrainingError; closing it ends the generation."""
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
                model=task.model,
                passages=sources,
                agent_id=agent.agent_id,
            )
            async with aclosing(self._generations.write(request, "chat.agent", meter)) as events:
                async for event in events:
                    yield event

    async def answer(self, task: AgentTask) -> AgentAnswer:
        """Lets an agent work and gives the whole."""
        gathering = Gathering()
        sources: tuple[Citation, ...] = ()
        notices: list[str] = []
        async with aclosing(self.process(task)) as events:
            async for event in events:
                match event:
                    case AgentSources():
                        sources = event.sources
                    case AgentNotice(words):
                        notices.append(words)
                    case _:
                        gathering.take(event)
        return AgentAnswer(gathering.whole(), sources, tuple(notices))

    async def _passages(self, task: AgentTask) -> tuple[Citation, ...] | None:
        """Searches for what the agent is asked; None when that cannot be done."""
        with self._tracing.stage("chat.agent.search") as stage:
            try:
                async with asyncio.timeout(self._search.seconds):
                    found = await self._knowledge.search(task.user_id, task.input, self._search.passages, task.project)
            except (KnowledgeUnavailableError, TimeoutError):
                return None
            stage.record({"parley.search.passages": len(found)})
            return found
