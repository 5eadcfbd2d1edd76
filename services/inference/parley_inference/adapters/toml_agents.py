"""Agents from a folder of TOML files, one for each: `researcher.toml` is the agent `researcher`.

    title = "Researcher"
    description = "What it is good for."
    instructions = "What the model is told."
    model = "strong"            # the rest is optional
    tools = ["create_task"]     # or ["*"]
    searches = true
    max_steps = 8
    max_output_tokens = 8000
    temperature = 0.2
    offline = "summary"         # what the built-in model does: answer, summary, plan or table

Which folders are read is bootstrap's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from parley_inference.adapters.toml_folder import Table, tables_in
from parley_inference.domain.agents import (
    AGENT_ID,
    ALL_TOOLS,
    DEFAULT_STEPS,
    DESCRIPTION_MOST,
    INSTRUCTIONS_MOST,
    MODEL_MOST,
    OUTPUT_TOKENS_MOST,
    STEPS_MOST,
    TITLE_MOST,
    TOOLS_MOST,
    Agent,
)
from parley_inference.domain.prompt import OfflineSkill

_TOOL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOOL_MOST = 64


def read_agents(folder: Path) -> Sequence[Agent]:
    """The agents of a folder, by their ids. Raises FolderError."""
    return [
        _agent(agent_id, table)
        for agent_id, table in tables_in(folder, AGENT_ID, "1 to 64 of a-z 0-9 _ - (the agent's id)")
    ]


def _agent(agent_id: str, table: Table) -> Agent:
    agent = Agent(
        agent_id=agent_id,
        title=table.text("title", most=TITLE_MOST),
        description=table.text("description", most=DESCRIPTION_MOST, one_line=False),
        instructions=table.text("instructions", most=INSTRUCTIONS_MOST, one_line=False),
        model=table.text("model", most=MODEL_MOST, default=""),
        tools=_tools(table),
        searches=table.flag("searches", default=False),
        max_steps=table.integer("max_steps", least=0, most=STEPS_MOST, default=DEFAULT_STEPS) or 0,
        max_output_tokens=table.integer("max_output_tokens", least=0, most=OUTPUT_TOKENS_MOST, default=0) or 0,
        temperature=table.number("temperature", least=0, most=2),
        offline_skill=OfflineSkill(
            table.choice("offline", [skill.value for skill in OfflineSkill], OfflineSkill.ANSWER.value)
        ),
    )
    table.end()
    return agent


def _tools(table: Table) -> tuple[str, ...]:
    tools = table.texts("tools", most=TOOLS_MOST, most_characters=_TOOL_MOST)
    if tools == (ALL_TOOLS,):
        return tools
    for tool in tools:
        if not _TOOL.fullmatch(tool):
            raise table.wrong("tools", 'must be names of 1 to 64 of A-Z a-z 0-9 _ -, or ["*"] for all')
    return tuple(sorted(tools))
