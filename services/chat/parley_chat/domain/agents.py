"""Named agents, as those see them who run them. Their instructions, models and limits are inference's."""

from __future__ import annotations

from dataclasses import dataclass

ALL_TOOLS = "*"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that can be run."""

    agent_id: str
    title: str
    description: str
    tools: tuple[str, ...]
    """The tools that it may use, by name; `ALL_TOOLS` for all that it is offered."""
    max_steps: int
    """How many times it may call tools before it must answer."""
    searches: bool
    """Whether it is given passages from the user's documents."""

    def may_use(self, tool: str) -> bool:
        """Whether the operator lets it use the tool."""
        return self.max_steps > 0 and (tool in self.tools or ALL_TOOLS in self.tools)
