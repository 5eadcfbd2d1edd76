"""The connection to one MCP server: opened in the background, kept, opened again when it is lost. The official package speaks the protocol.

Nobody waits for a server: while it is away, it has no tools. What its answers mean to a model is mcp_results.py's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import anyio
import mcp_types
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from pydantic import ValidationError

from parley_chat.adapters.mcp_http import MOST_ANSWER_BYTES, http_client
from parley_chat.adapters.mcp_results import failed, outcome_of
from parley_chat.adapters.mcp_stdio import StdioTransport
from parley_chat.domain.tool_servers import ForeignTool, ToolServer, ToolServerState
from parley_chat.ports.tool_servers import ToolServerAwayError
from parley_chat.ports.toolbox import ToolOutcome

logger = logging.getLogger(__name__)

MOST_LISTED = 1_000
"""Tools that are looked at; further ones are as if they were not there."""
_MOST_PAGES = 20
_MOST_LISTED_CHARACTERS = 2_000_000
_CONNECT_SECONDS = 60.0
"""Until the tools are listed. Programs may be fetched before they are started."""
_ANSWER_SECONDS = 30.0
"""To everything but calls of tools, whose time is the operator's to say."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 60.0
_LOOK_SECONDS = 60.0
"""How often the tools are listed when nothing says that they changed: that is how a dead server is noticed."""
_CALM_SECONDS = 0.5
"""Between two listings, whatever a server says."""
_CLOSE_SECONDS = 8.0
_MOST_CALLS = 32
"""At a time. The others wait, within their time."""

_LOST = "It is not known whether it took effect."


class McpConnection:
    """The port `ToolServerConnection`. Only open between `start` and `close`."""

    def __init__(self, server: ToolServer, version: str) -> None:
        self._server = server
        self._me = mcp_types.Implementation(name="parley", title="Parley", version=version)
        self._state = ToolServerState.CONNECTING
        self._since = datetime.now(UTC)
        self._listed: Sequence[ForeignTool] = ()
        self._client: Client | None = None
        self._was_connected = False
        self._lost = asyncio.Event()
        self._stale = asyncio.Event()
        self._places = asyncio.Semaphore(_MOST_CALLS)
        self._keeper: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[ToolOutcome]] = set()

    @property
    def server(self) -> ToolServer:
        """Which it is."""
        return self._server

    @property
    def state(self) -> ToolServerState:
        """How it is."""
        if self._state is ToolServerState.CONNECTED and self._lost.is_set():
            # Its end takes a moment.
            return ToolServerState.UNREACHABLE
        return self._state

    @property
    def since(self) -> datetime:
        """Since when it is so, UTC."""
        return self._since

    def listed(self) -> Sequence[ForeignTool]:
        """The tools that it listed last; none once it could not be connected again."""
        return self._listed

    def start(self) -> None:
        """Begins to connect and waits for nothing."""
        self._keeper = asyncio.create_task(self._keep(), name=f"connection to the MCP server {self._server.name}")

    async def close(self) -> None:
        """Ends calls, the connection and the server's process."""
        tasks: set[asyncio.Task[Any]] = {*self._calls}
        if self._keeper is not None:
            tasks.add(self._keeper)
        for task in tasks:
            task.cancel()
        if tasks and (await asyncio.wait(tasks, timeout=_CLOSE_SECONDS))[1]:
            # A server that holds on to its end has had its time.
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> ToolOutcome:
        """Has the server run a tool; see the port."""
        client = self._client
        if client is None:
            raise ToolServerAwayError
        # A task of its own: who gives up need not wait until the server was told.
        task = asyncio.create_task(self._call(client, tool, arguments))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        return failed(f"The connection to the server was closed. {_LOST}") if task.cancelled() else task.result()

    async def _call(self, client: Client, tool: str, arguments: Mapping[str, Any]) -> ToolOutcome:
        seconds = self._server.timeout_seconds
        params = mcp_types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            return failed(f"The server had too much to do for {seconds:g} seconds. Nothing was done.")
        try:
            # Not the session's call_tool: that one checks results against schemas of the server's, for as long as these make it.
            result = await client.session.send_request(
                mcp_types.CallToolRequest(params=params), mcp_types.CallToolResult, request_read_timeout_seconds=seconds
            )
        except MCPError as error:
            return self._refused(error)
        except (ValidationError, ValueError, RuntimeError):
            logger.warning(
                "an MCP server answered what is no result",
                extra={"server": self._server.name, "tool": tool},
                exc_info=True,
            )
            return failed(f"The server answered with what the protocol does not know as a result. {_LOST}")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self._lost.set()
            return failed(f"The connection to the server was lost. {_LOST}")
        finally:
            self._places.release()
        return outcome_of(result, self._server.max_result_bytes)

    def _refused(self, error: MCPError) -> ToolOutcome:
        """What the package's errors mean, some of which are its own and some the server's."""
        match error.code, error.message:
            case mcp_types.REQUEST_TIMEOUT, _:
                return failed(f"It took longer than {self._server.timeout_seconds:g} seconds. {_LOST}")
            case mcp_types.CONNECTION_CLOSED, _:
                self._lost.set()
                return failed(f"The connection to the server was lost. {_LOST}")
            case mcp_types.INVALID_REQUEST, "Session terminated":
                self._lost.set()
                return failed(
                    "The server has forgotten us, and is asked to begin anew. Nothing was done: call it again."
                )
            case mcp_types.INTERNAL_ERROR, "Server returned an error response":
                self._stale.set()
                return failed(f"The server answered with an error of HTTP. {_LOST}")
            case mcp_types.PARSE_ERROR, _:
                return failed(f"The server's answer could not be read, or was too long. {_LOST}")
        # Its tools may have changed.
        self._stale.set()
        return failed(error.message or "The server refused the call.")

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._session()
                why = "it was lost"
            except Exception as error:  # noqa: BLE001 - whatever a server or its program does, it is tried again
                why = _why(error)
                if not self._was_connected:
                    self._listed = ()
            self._become(ToolServerState.UNREACHABLE)
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            logger.warning(
                "there is no connection to an MCP server",
                extra={"server": self._server.name, "why": why, "next_try_seconds": pause},
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _session(self) -> None:
        """Connects, and returns when the connection is lost. Raises what hinders it."""
        self._lost, self._stale, self._was_connected = asyncio.Event(), asyncio.Event(), False
        async with AsyncExitStack() as closing:
            listening: asyncio.Task[None] | None = None
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    client = await closing.enter_async_context(await self._open(closing))
                    await self._list(client)
                self._client, self._was_connected = client, True
                self._become(ToolServerState.CONNECTED)
                logger.info(
                    "connected to an MCP server",
                    extra={
                        "server": self._server.name,
                        "tools": len(self._listed),
                        "revision": client.protocol_version,
                    },
                )
                listening = asyncio.create_task(self._listen(client))
                await self._watch(client)
            finally:
                self._client = None
                if listening is not None:
                    listening.cancel()
                    await asyncio.wait({listening})

    async def _open(self, closing: AsyncExitStack) -> Client:
        transport: Any
        if self._server.command:
            transport = StdioTransport(self._server, self._lost.set)
        else:
            http = await closing.enter_async_context(http_client(self._server.headers))
            transport = streamable_http_client(self._server.url, http_client=http, max_sse_event_size=MOST_ANSWER_BYTES)
        return Client(
            transport,
            client_info=self._me,
            message_handler=self._hear,
            read_timeout_seconds=_ANSWER_SECONDS,
            cache=None,
        )

    async def _hear(self, message: IncomingMessage) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._stale.set()

    async def _listen(self, client: Client) -> None:
        """Hears of changes where the protocol has them asked for."""
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    self._stale.set()
                    async for _ in changes:
                        self._stale.set()
            except MCPError:
                # It does not offer this; its tools are listed now and then.
                return
            except ListenNotSupportedError:
                # An older revision of the protocol tells it unasked.
                return
            except (SubscriptionLost, TimeoutError):
                self._stale.set()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch(self, client: Client) -> None:
        """Lists the tools anew when they may have changed, until the connection is lost."""
        while not self._lost.is_set():
            waiting = [asyncio.create_task(event.wait()) for event in (self._lost, self._stale)]
            try:
                await asyncio.wait(waiting, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()
            if self._lost.is_set():
                return
            self._stale.clear()
            await self._list(client)
            await asyncio.sleep(_CALM_SECONDS)

    async def _list(self, client: Client) -> None:
        """Lists the tools. Raises MCPError and ValidationError."""
        found: list[ForeignTool] = []
        cursor: str | None = None
        characters = 0
        for page in range(_MOST_PAGES):
            result = await client.session.list_tools(
                params=mcp_types.PaginatedRequestParams(cursor=cursor) if page else None
            )
            for tool in result.tools:
                hints = tool.annotations
                only_reads = hints is not None and hints.read_only_hint is True
                found.append(ForeignTool(tool.name, tool.description or "", tool.input_schema, only_reads))
            characters += sum(len(json.dumps(tool.input_schema)) for tool in result.tools)
            cursor = result.next_cursor
            if not cursor:
                break
            if len(found) >= MOST_LISTED or characters > _MOST_LISTED_CHARACTERS:
                break
        if cursor or len(found) > MOST_LISTED:
            logger.warning(
                "an MCP server lists more tools than are looked at",
                extra={"server": self._server.name, "most": MOST_LISTED},
            )
        found = found[:MOST_LISTED]
        if found != list(self._listed):
            self._listed = tuple(found)

    def _become(self, state: ToolServerState) -> None:
        if state is not self._state:
            self._state, self._since = state, datetime.now(UTC)


def _why(error: BaseException) -> str:
    """Why there is no connection, in a line for the operator: of errors of several tasks, the first that says something."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it did not answer within {_CONNECT_SECONDS:g} seconds"
    return f"{type(error).__name__}: {str(error)[:300]}"
