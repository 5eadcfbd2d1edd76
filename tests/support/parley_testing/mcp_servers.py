"""MCP servers for tests: an honest one of the official package, over standard input and output or HTTP, and ones that keep to nothing.

    python -m parley_testing.mcp_servers honest        # speaks over stdin and stdout
    python -m parley_testing.mcp_servers endless       # see HOSTILE

    async with http_server() as server:                # in this process
        server.url, server.requests, server.status = 500

What the honest one's `note` was told is in the file that the variable NOTES names: a line for each call.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp_types import ToolAnnotations

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
        _write(text)
        return f"noted: {text}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def look() -> str:
        """Looks, and changes nothing."""
        _write("look")
        return "nothing new"

    @server.tool()
    def variables() -> list[str]:
        """The names of the variables that this process has."""
        return sorted(os.environ)

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ValueError("the shelf is empty")

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
        _write(text)
        try:
            await asyncio.sleep(3600)
        except BaseException:
            _write(f"{text}: cancelled")
            raise
        return "late"

    @server.tool()
    def crash(text: str) -> str:
        """Writes a line down and takes the process with it."""
        _write(text)
        os._exit(7)

    @server.tool()
    async def grow(ctx: Context) -> str:  # type: ignore[type-arg] # of any request
        """Adds a tool."""

        @server.tool()
        def grown() -> str:
            """Came later."""
            return "here"

        await ctx.notify_tools_changed()
        return "grown"

    return server


def _write(line: str) -> None:
    if file := os.environ.get("NOTES"):
        with Path(file).open("a") as notes:
            notes.write(f"{line}\n")


def _answering(list_tools: Callable[[], Any]) -> None:
    """A server of the older kind that answers as it must, but for its list of tools."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        match message["method"]:
            case "initialize":
                reply["result"] = {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "hostile", "version": "0"},
                }
            case "tools/list":
                reply["result"] = list_tools()
            case "tools/call":
                reply["result"] = {"content": [{"type": "text", "text": "done"}]}
            case _:
                reply["error"] = {"code": -32601, "message": "no such method"}
        print(json.dumps(reply), flush=True)


def _tool(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "description": "d", "inputSchema": {"type": "object", **schema}}


def _many() -> None:
    _answering(lambda: {"tools": [_tool(f"tool_{number}") for number in range(10_000)]})


def _large() -> None:
    schema = {"properties": {f"p{number}": {"type": "string", "description": "x" * 100} for number in range(40_000)}}
    _answering(lambda: {"tools": [_tool("small"), _tool("large", **schema)]})


def _strange() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        deep = {"type": "object", "properties": {"deeper": deep}}
    _answering(
        lambda: {
            "tools": [
                _tool("ünïcode name/with spaces"),
                _tool("x" * 120),
                _tool("x" * 119 + "y"),
                _tool("deep", properties={"deeper": deep}),
                _tool("twice"),
                _tool("twice"),
                _tool(
                    "wrong",
                    properties={"a": {"type": "nonsense", "pattern": "(", "minimum": "low", "$ref": "http://x/"}},
                ),
                {"name": "text", "inputSchema": {"type": "string"}},
            ]
        }
    )


def _pages() -> None:
    _answering(lambda: {"tools": [_tool(f"tool_{time.monotonic_ns()}")], "nextCursor": str(time.monotonic_ns())})


def _endless() -> None:
    while True:
        sys.stdout.write("x" * 1_000_000)


def _silent() -> None:
    for _ in sys.stdin:
        pass


def _stubborn() -> None:
    """Ends for nothing but being killed, and has started somebody who does the same."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if (child := os.fork()) != 0:
        _write(f"{os.getpid()} {child}")
        _answering(lambda: {"tools": [_tool("tool")]})
    while True:
        time.sleep(3600)


HOSTILE: dict[str, Callable[[], None]] = {
    "many": _many,
    "large": _large,
    "strange": _strange,
    "pages": _pages,
    "endless": _endless,
    "silent": _silent,
    "stubborn": _stubborn,
}


def command(kind: str = "honest") -> tuple[str, ...]:
    """The command that starts a server of this kind."""
    return (sys.executable, "-m", "parley_testing.mcp_servers", kind)


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


def main() -> None:
    """Runs the server of the kind that the command line names."""
    kind = sys.argv[1]
    if kind == "honest":
        honest().run()
    else:
        HOSTILE[kind]()


if __name__ == "__main__":
    main()
