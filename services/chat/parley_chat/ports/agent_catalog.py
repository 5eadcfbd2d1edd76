"""Which agents there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.agents import Agent


class AgentCatalog(Protocol):
    """Knows the operator's agents. Raises GenerationError when inference does not answer."""

    async def agents(self, user_id: str) -> Sequence[Agent]:
        """Lists them, by name."""
        ...

    async def agent(self, user_id: str, agent_id: str) -> Agent:
        """Gets one; GenerationError with NOT_FOUND when there is none of this name."""
        ...
