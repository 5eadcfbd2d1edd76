"""Named agents, as those see them who run them. Their instructions, models and limits are inference's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that can be run."""

    agent_id: str
    title: str
    description: str
    tools: tuple[str, ...]
    """The tools that it may use, by name; `*` for all that it is offered."""
    searches: bool
    """Whether it is given passages from the user's documents."""
