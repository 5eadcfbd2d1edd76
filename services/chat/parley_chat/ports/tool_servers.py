"""A server of tools that is not Parley's (MCP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from parley_chat.domain.tool_servers import ForeignTool, ToolServer, ToolServerState
from parley_chat.ports.toolbox import ToolOutcome


class ToolServerAwayError(Exception):
    """The server cannot be asked now: nothing was sent."""


@dataclass(frozen=True, slots=True)
class ToolServerReport:
    """How a server is, and since when."""

    name: str
    state: ToolServerState
    since: datetime
    tool_count: int
    left_out_tool_count: int


class ToolServerConnection(Protocol):
    """Keeps the connection to one server."""

    @property
    def server(self) -> ToolServer:
        """Which it is."""
        ...

    @property
    def state(self) -> ToolServerState:
        """How it is."""
        ...

    @property
    def since(self) -> datetime:
        """Since when it is so, UTC."""
        ...

    def listed(self) -> Sequence[ForeignTool]:
        """The tools that it listed last, the same object until it lists others. None until it is connected, and once it stays away."""
        ...

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> ToolOutcome:
        """Has it run a tool. What goes wrong is an outcome that failed, and says when it is not known whether the tool ran.

        Raises ToolServerAwayError. Cancelled, it tells the server so, and does not wait for it.
        """
        ...


class ToolServerWatch(Protocol):
    """Tells how the servers are."""

    def reports(self) -> Sequence[ToolServerReport]:
        """Of each, by name."""
        ...
