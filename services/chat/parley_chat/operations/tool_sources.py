"""All tools: those of each source, with what the operator's settings say about asking. Not what a tool does."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from parley_chat.domain.tool_approvals import ConsentPolicy
from parley_chat.ports.toolbox import ToolCall, ToolDefinition, ToolOutcome, ToolSource

logger = logging.getLogger(__name__)


class ToolSources:
    """The port `Toolbox`, of several sources."""

    def __init__(self, sources: Sequence[ToolSource], policy: ConsentPolicy) -> None:
        self._sources = sources
        self._policy = policy
        self._settled: dict[int, tuple[ToolDefinition, ToolDefinition]] = {}
        """By identity: what a source gave, and the same with its policy. Models are told of the same objects again and again."""

    async def offered(self, user_id: str, scopes: Collection[str]) -> tuple[ToolDefinition, ...]:
        """The tools that a token of the user with these scopes may use, in the order of the sources."""
        found = await self._all(user_id)
        return tuple(tool for tool, _ in found.values() if _allows(scopes, tool))

    async def find(self, user_id: str, tool: str) -> ToolDefinition | None:
        """A tool of the user, whatever their token allows."""
        found = (await self._all(user_id)).get(tool)
        return found[0] if found else None

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Has the source run it that has the tool. One that the token does not allow is as unknown as one that is not there."""
        found = (await self._all(call.user_id)).get(call.tool)
        if found is None or not _allows(call.scopes, found[0]):
            words = "There is no tool of this name."
            error = {"error": {"reason": "ERROR_REASON_RESOURCE_NOT_FOUND", "message": words}}
            return ToolOutcome(json.dumps(error), failed=True)
        return await found[1].run(call)

    async def _all(self, user_id: str) -> dict[str, tuple[ToolDefinition, ToolSource]]:
        found: dict[str, tuple[ToolDefinition, ToolSource]] = {}
        for source in self._sources:
            try:
                tools = await source.tools(user_id)
            except Exception:
                # The other tools are there all the same.
                logger.warning("a source of tools could not be asked", exc_info=True)
                continue
            for tool in tools:
                found.setdefault(tool.name, (self._settle(tool), source))
        return found

    def _settle(self, tool: ToolDefinition) -> ToolDefinition:
        """The tool with the policy for it."""
        known = self._settled.get(id(tool))
        if known is not None and known[0] is tool:
            return known[1]
        asks = self._policy.needs_approval(tool.name, tool.effect, tool.needs_approval)
        settled = replace(tool, needs_approval=asks)
        if len(self._settled) >= _MOST_SETTLED:
            self._settled.clear()
        self._settled[id(tool)] = (tool, settled)
        return settled


_MOST_SETTLED = 4096


def _allows(scopes: Collection[str], tool: ToolDefinition) -> bool:
    return not tool.scope or tool.scope in scopes
