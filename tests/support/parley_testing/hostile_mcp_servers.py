"""MCP servers that keep to nothing, and some of the older kind. Without the official package: they start at once.

python -m parley_testing.hostile_mcp_servers endless
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_down(line: str) -> None:
    """Adds a line to the file that the variable NOTES names."""
    if file := os.environ.get("NOTES"):
        with Path(file).open("a") as notes:
            notes.write(f"{line}\n")


def _answering(list_tools: Callable[[], Any], called: Callable[[], None] = lambda: None) -> None:
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
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "hostile", "version": "0"},
                }
            case "tools/list":
                reply["result"] = list_tools()
            case "tools/call":
                reply["result"] = {"content": [{"type": "text", "text": "done"}]}
            case _:
                reply["error"] = {"code": -32601, "message": "no such method"}
        print(json.dumps(reply), flush=True)
        if message["method"] == "tools/call":
            called()


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
            ]
        }
    )


def _wrong() -> None:
    _answering(lambda: {"tools": "none"})


def _growing() -> None:
    """Has another tool after each call, and tells so."""
    count = 1

    def listed() -> dict[str, Any]:
        return {"tools": [_tool(f"tool_{number}") for number in range(count)]}

    def called() -> None:
        nonlocal count
        count += 1
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}), flush=True)

    _answering(listed, called)


def _pages() -> None:
    _answering(lambda: {"tools": [_tool(f"tool_{time.monotonic_ns()}")], "nextCursor": str(time.monotonic_ns())})


def _endless() -> None:
    while True:
        sys.stdout.write("x" * 1_000_000)


def _silent() -> None:
    write_down(str(os.getpid()))
    for _ in sys.stdin:
        pass


def _stubborn() -> None:
    """Ends for nothing but being killed, and has started somebody who does the same."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if (child := os.fork()) != 0:
        write_down(f"{os.getpid()} {child}")
        _answering(lambda: {"tools": [_tool("tool")]})
    while True:
        time.sleep(3600)


HOSTILE: dict[str, Callable[[], None]] = {
    "many": _many,
    "large": _large,
    "strange": _strange,
    "pages": _pages,
    "wrong": _wrong,
    "growing": _growing,
    "endless": _endless,
    "silent": _silent,
    "stubborn": _stubborn,
}


def hostile_command(kind: str) -> tuple[str, ...]:
    """The command that starts a server of this kind."""
    return (sys.executable, "-m", "parley_testing.hostile_mcp_servers", kind)


if __name__ == "__main__":
    HOSTILE[sys.argv[1]]()
