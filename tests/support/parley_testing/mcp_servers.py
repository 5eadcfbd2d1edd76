"""An honest MCP server for tests, of the official package, over standard input and output or HTTP.

    python -m parley_testing.mcp_servers               # speaks over stdin and stdout

    async with http_server() as server:                # in this process
        server.url, server.requests, server.status = 500

What the honest one's `note` was told is in the file that the variable NOTES names: a line for each call.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from parley_testing.hostile_mcp_servers import write_down

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(16)


def honest() -> MCPServer:
    """The honest server."""
    server = MCPServer("honest")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @server.tool()
    def note(text: str) -> str:
        """Writes a line down."""
        write_down(text)
        return f"noted: {text}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def look() -> str:
        """Looks, and changes nothing."""
        write_down("look")
        return "nothing new"

    @server.tool()
    def variables() -> list[str]:
        """The names of the variables that this process has."""
        return sorted(os.environ)

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ToolError("the shelf is empty")

    @server.tool()
    def much(characters: int) -> str:
        """Returns so much text."""
        return "ü" * characters

    @server.tool(structured_output=False)
    def picture() -> Any:
        """Returns a picture."""
        return [Image(data=PIXEL, format="png"), "a caption"]

    @server.tool()
    async def wait(text: str) -> str:
        """Writes a line down and does not return."""
        write_down(text)
        try:
            await asyncio.sleep(3600)
        except BaseException:
            write_down(f"{text}: cancelled")
            raise
        return "late"

    @server.tool()
    def crash(text: str) -> str:
        """Writes a line down and takes the process with it."""
        write_down(text)
        os._exit(7)

    @server.tool()
    async def grow(ctx: Context) -> str:
        """Adds a tool."""

        @server.tool()
        def grown() -> str:
            """Came later."""
            return "here"

        await ctx.notify_tools_changed()
        return "grown"

    return server


def command() -> tuple[str, ...]:
    """The command that starts it."""
    return (sys.executable, "-m", "parley_testing.mcp_servers")


def python_path() -> str:
    """What the server's process needs in PYTHONPATH to find this file."""
    return str(Path(__file__).parents[1])


@dataclass
class HttpServer:
    """A server over HTTP, and what happens to it."""

    port: int
    status: int = 0
    """What every request is answered with; 0 for what the server says."""
    body: bytes = b""
    """The body of such an answer."""
    methods: list[str] = field(default_factory=list)
    """The methods of the messages that came, in their order."""
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/mcp"


@asynccontextmanager
async def http_server(*, sessions: bool = True, json_answers: bool = False) -> AsyncIterator[HttpServer]:
    """Runs the honest server over HTTP on a free port."""
    import uvicorn

    app = honest().streamable_http_app(stateless_http=not sessions, json_response=json_answers)
    state = HttpServer(0)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        state.headers.append({key.decode(): value.decode() for key, value in scope["headers"]})
        body, more = b"", True
        while more and scope["method"] == "POST":
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        method = json.loads(body).get("method", "") if body else scope["method"]
        state.methods.append(method)
        if state.status:
            length = str(len(state.body)).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": state.status, "headers": headers})
            await send({"type": "http.response.body", "body": state.body})
            return
        given = False

        async def again() -> Any:
            nonlocal given
            if scope["method"] == "POST" and not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await app(scope, again, send)

    server = uvicorn.Server(
        uvicorn.Config(watched, port=0, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(30):
            while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.01)
        state.port = server.servers[0].sockets[0].getsockname()[1]
        yield state
    finally:
        server.should_exit = True
        await serving


if __name__ == "__main__":
    honest().run()
