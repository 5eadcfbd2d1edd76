"""Puts both ends of MCP together: the tools of the servers that the operator named, and the door to Parley's own. A part of bootstrap.py.

The package that speaks with servers is imported only when there are any: it is heavy.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version

from parley.mcp.v1 import mcp_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.settings import SettingsError

from parley_chat.adapters.toml_tool_servers import ToolServersError, read_tool_servers
from parley_chat.domain.tool_approvals import ConsentPolicy
from parley_chat.operations.foreign_tools import ForeignTools
from parley_chat.operations.tool_calls import ToolCalls, ToolLimits
from parley_chat.operations.tool_sources import ToolSources
from parley_chat.ports.toolbox import ToolSource
from parley_chat.ports.tracing import Tracing
from parley_chat.servicers.mcp import McpServicer
from parley_chat.settings import ChatSettings


def open_foreign_tools(settings: ChatSettings, closing: AsyncExitStack) -> ForeignTools:
    """Begins to connect to the servers of the configuration file; of none when it names none. Raises SettingsError."""
    if settings.config_file is None:
        return ForeignTools(())
    try:
        servers = read_tool_servers(settings.config_file, settings.variables.find)
    except ToolServersError as error:
        raise SettingsError("PARLEY_CHAT_CONFIG_FILE", f"{settings.config_file}: {error}.") from error
    if not servers:
        return ForeignTools(())
    try:
        # Imported here: who names no servers need not have the package.
        from parley_chat.adapters.mcp_connection import McpConnection  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name not in {"mcp", "mcp_types", "anyio", "pydantic"}:
            raise
        words = (
            f"{settings.config_file} names MCP servers, whose client is not installed: pip install 'parley-chat[mcp]'."
        )
        raise SettingsError("PARLEY_CHAT_CONFIG_FILE", words) from error
    # What goes wrong is told by the connections; the package would log the names of sessions, and what servers sent.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    connections = [McpConnection(server, version("parley-chat")) for server in servers]
    for connection in connections:
        connection.start()
        closing.push_async_callback(connection.close)
    return ForeignTools(connections)


def mcp_registration(settings: ChatSettings, sources: Sequence[ToolSource], tracing: Tracing) -> Registration:
    """What serves these tools to clients of MCP. Consent is these clients' part: no call waits for any here."""
    calls = ToolCalls(
        ToolSources(sources, ConsentPolicy(())), tracing, ToolLimits(settings.tool_rounds, settings.tool_seconds)
    )
    return Registration(
        mcp_service_pb2_grpc.add_McpServiceServicer_to_server,
        McpServicer(calls, version("parley-chat")),
        "parley.mcp.v1.McpService",
    )
