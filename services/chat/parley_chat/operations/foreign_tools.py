"""Tools of servers that are not Parley's, as models are offered them: named, bounded, each with what the operator says of it.

A call acts outside of Parley, where nothing can be taken back and no transaction holds it. That it is not made again after a crash is the
turn's to see to (answer_tools.py); here it is made once, and never again because an answer was lost.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parley_chat.domain.tool_approvals import ToolEffect
from parley_chat.domain.tool_servers import MOST_TOOLS_OF_ALL, ForeignTool, TakenTool, take
from parley_chat.ports.tool_servers import ToolServerAwayError, ToolServerConnection, ToolServerReport
from parley_chat.ports.toolbox import ToolCall, ToolDefinition, ToolOutcome

logger = logging.getLogger(__name__)

_NOTING_SECONDS = 15.0
"""Beside the call itself, for what is noted of it."""
_MOST_REASONS = 5
"""Of why tools are left out, in the log."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """What is offered of a server, as long as it lists the same."""

    listed: Sequence[ForeignTool]
    tools: Mapping[str, TakenTool]
    definitions: Sequence[ToolDefinition]
    left_out: int


class ForeignTools:
    """The port `ToolSource`, of several servers; and `ToolServerWatch`."""

    def __init__(self, connections: Sequence[ToolServerConnection]) -> None:
        self._connections = sorted(connections, key=lambda connection: connection.server.name)
        self._offers: dict[str, _Offer] = {}
        self._told_of_all = False

    async def tools(self, user_id: str) -> Sequence[ToolDefinition]:
        """Those of the servers that are connected: everybody has the same."""
        definitions = [tool for connection in self._connections for tool in self._offer(connection).definitions]
        if len(definitions) > MOST_TOOLS_OF_ALL and not self._told_of_all:
            self._told_of_all = True
            logger.warning(
                "tools of MCP servers are left out", extra={"offered": MOST_TOOLS_OF_ALL, "found": len(definitions)}
            )
        return definitions[:MOST_TOOLS_OF_ALL]

    def reports(self) -> Sequence[ToolServerReport]:
        """Tells how each server is."""
        return [self._report(connection) for connection in self._connections]

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call; see the port."""
        for connection in self._connections:
            if (taken := self._offer(connection).tools.get(call.tool)) is not None:
                return await _run(connection, taken.tool, call)
        return _failed("The server of this tool is not connected any more. Nothing was done.")

    def _offer(self, connection: ToolServerConnection) -> _Offer:
        listed = connection.listed()
        offer = self._offers.get(connection.server.name)
        if offer is None or offer.listed is not listed:
            offer = _offer(connection, listed)
            self._offers[connection.server.name] = offer
        return offer

    def _report(self, connection: ToolServerConnection) -> ToolServerReport:
        offer = self._offer(connection)
        return ToolServerReport(
            connection.server.name, connection.state, connection.since, len(offer.definitions), offer.left_out
        )


def _offer(connection: ToolServerConnection, listed: Sequence[ForeignTool]) -> _Offer:
    server = connection.server
    taken = take(server, listed)
    if taken.left_out:
        reasons = "; ".join(taken.left_out[:_MOST_REASONS])
        logger.warning(
            "tools of an MCP server are left out",
            extra={"server": server.name, "count": len(taken.left_out), "reasons": reasons},
        )
    definitions = [
        ToolDefinition(
            name=each.name,
            description=each.description,
            parameters_schema=each.schema,
            scope=server.scope,
            effect=ToolEffect.READ if server.only_reads(each.tool) else ToolEffect.EXTERNAL,
            needs_approval=server.asks_before(each.tool),
            # The server's own time is up first, and then it is told what became of the call.
            seconds=server.timeout_seconds + _NOTING_SECONDS,
        )
        for each in taken.tools
    ]
    return _Offer(listed, {each.name: each for each in taken.tools}, definitions, len(taken.left_out))


async def _run(connection: ToolServerConnection, tool: ForeignTool, call: ToolCall) -> ToolOutcome:
    arguments = _arguments(call.arguments_json)
    if arguments is None:
        return _failed("The arguments are not a JSON object.")
    try:
        return await connection.call(tool.name, arguments)
    except ToolServerAwayError:
        return _failed(f"The server {connection.server.name} does not answer now. Nothing was done.")


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _failed(words: str) -> ToolOutcome:
    return ToolOutcome(json.dumps({"error": {"message": words}}, ensure_ascii=False), failed=True)
