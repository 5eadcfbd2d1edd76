"""A server of tools that Parley starts and speaks with over its input and output: one message a line. A transport of the `mcp` package.

The package has one too. This one bounds a line, gives the program nothing of Parley's environment but PATH and HOME, keeps the program's
last words for the log, and leaves no process behind, whatever interrupts it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from parley_chat.domain.tool_servers import ToolServer

logger = logging.getLogger(__name__)

MOST_LINE_BYTES = 8_000_000
_GRACE_SECONDS = 1.0
"""For the program to end by itself after its input has ended, and once more after it was asked to."""
_LAST_LINES = 5
_MOST_SHOWN = 300


class StdioTransport:
    """Starts the program with `async with`, and ends it. Raises OSError when it cannot be started. Calls `ended` when the program goes."""

    def __init__(self, server: ToolServer, ended: Callable[[], None]) -> None:
        self._server = server
        self._ended = ended
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)

    async def __aenter__(self) -> tuple[Any, Any]:
        process = await asyncio.create_subprocess_exec(
            *self._server.command,
            env=environment_of(self._server),
            cwd=self._server.folder or None,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MOST_LINE_BYTES,
            # A group of its own: what the program has started itself ends with it.
            start_new_session=True,
        )
        self._process = process
        heard, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, said = anyio.create_memory_object_stream[SessionMessage](0)
        self._tasks = [
            asyncio.create_task(self._listen(process, heard), name=f"output of the MCP server {self._server.name}"),
            asyncio.create_task(self._speak(process, said), name=f"input of the MCP server {self._server.name}"),
            asyncio.create_task(self._keep_last_words(process)),
        ]
        return read, write

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None and process.stdin is not None  # noqa: S101, PT018 - for the type checker: it was entered
        self._closing = True
        try:
            process.stdin.close()
            if not await _has_ended(process):
                _signal_group(process, signal.SIGTERM)
                await _has_ended(process)
        finally:
            # Also when the wait is cut short, and for what the program left behind.
            _signal_group(process, signal.SIGKILL)
            for task in self._tasks:
                task.cancel()
            # Nothing else closes the pipes while what has left the group holds them.
            process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public way
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _has_ended(process)

    async def _listen(
        self, process: asyncio.subprocess.Process, heard: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            while line := await process.stdout.readline():
                if (message := self._read(line)) is not None:
                    await heard.send(message)
            if self._closing:
                return
            # Its last words are in another pipe.
            await asyncio.wait(self._tasks[2:], timeout=_GRACE_SECONDS)
            logger.warning(
                "an MCP server has ended",
                extra={"server": self._server.name, "last_lines": "\n".join(self._last_lines)},
            )
        except ValueError:
            logger.warning(
                "an MCP server sent a message that is too long",
                extra={"server": self._server.name, "most": MOST_LINE_BYTES},
            )
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # The session is over.
            return
        finally:
            heard.close()
            self._ended()

    def _read(self, line: bytes) -> SessionMessage | None:
        try:
            return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            # Many programs print other things too.
            logger.debug("an MCP server printed what is no message", extra={"server": self._server.name})
            return None

    async def _speak(
        self, process: asyncio.subprocess.Process, said: MemoryObjectReceiveStream[SessionMessage]
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            async with said:
                async for message in said:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(text.encode() + b"\n")
                    await process.stdin.drain()
        except OSError:
            # Its output ends too, or it hears nothing any more: either way it is of no use.
            self._ended()

    async def _keep_last_words(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - for the type checker: it is a pipe
        with suppress(ValueError):
            while line := await process.stderr.readline():
                self._last_lines.append(line.decode(errors="replace").strip()[:_MOST_SHOWN])
                logger.debug("an MCP server says", extra={"server": self._server.name, "line": self._last_lines[-1]})


def environment_of(server: ToolServer) -> dict[str, str]:
    """What the program gets: PATH, HOME and what the operator says."""
    own = {name: value for name in ("PATH", "HOME") if (value := os.environ.get(name)) is not None}
    return {**own, **server.environment}


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Whether it ends within the grace. Its pipes may stay open longer, so that `wait` would."""
    deadline = asyncio.get_running_loop().time() + _GRACE_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)
    return process.returncode is not None


def _signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
