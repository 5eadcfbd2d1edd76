"""Agents: named ways of answering. Which there are is the operator's to say; applying one to a request is operations/agents.py's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from parley_inference.domain.prompt import OfflineSkill

AGENT_ID = re.compile(r"[a-z0-9_-]{1,64}")
TITLE_MOST = 100
DESCRIPTION_MOST = 1_000
INSTRUCTIONS_MOST = 20_000
MODEL_MOST = 200
TOOLS_MOST = 128
STEPS_MOST = 50
OUTPUT_TOKENS_MOST = 1_000_000
DEFAULT_STEPS = 8

ALL_TOOLS = "*"
"""In `tools`: all that it is offered."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Instructions, a model, tools and limits under one name."""

    agent_id: str
    title: str
    description: str
    instructions: str
    """What the model is told before everything else."""
    model: str = ""
    """A model or alias; empty for the default."""
    tools: tuple[str, ...] = ()
    """The names of those that it may use, in alphabetical order, or ALL_TOOLS alone."""
    searches: bool = False
    """Whether it is given passages. Who calls gives them."""
    max_steps: int = DEFAULT_STEPS
    """How many times it may call tools before it must answer."""
    max_output_tokens: int = 0
    """0 for as many as the model allows."""
    temperature: float | None = None
    """None leaves it to the provider."""
    offline_skill: OfflineSkill = OfflineSkill.ANSWER
    """What the built-in model does for it."""

    def may_use(self, tool: str) -> bool:
        """Whether a tool of this name is offered to it."""
        return self.max_steps > 0 and (tool in self.tools or ALL_TOOLS in self.tools)
