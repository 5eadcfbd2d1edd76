"""A process of its own for work that costs much memory or computing: started when it is needed, ended when nobody needs it.

Requests and replies are JSON in frames, one request at a time. Whatever goes wrong, or is cancelled, ends the process: nothing goes on
working for nobody, and the next request gets a new one. What the work is, the process's own module says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

_LENGTH = 4
_FRAME_MOST = 64 * 1024 * 1024
_HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""What the process sees of the environment: no keys of providers."""


class WorkerEndedError(Exception):
    """The process ended, or said what is no reply, in the middle of a request. The message is for the log."""


class WorkerProcess:
    """Runs `python -m module` when there is work."""

    def __init__(self, module: str, *arguments: str, idle_seconds: float) -> None:
        self._command = (sys.executable, "-I", "-m", module, *arguments)
        self._idle_seconds = idle_seconds
        self._one_at_a_time = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def process_id(self) -> int | None:
        """The process, when there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def request(self, frames: Iterable[Any]) -> list[Any]:
        """Sends the frames, which are one request, and returns the replies to it. Raises WorkerEndedError."""
        async with self._one_at_a_time:
            if self._idle is not None:
                self._idle.cancel()
            try:
                process = await self._started()
                replies = await self._exchange(process, frames)
            except BaseException:
                await self._kill()
                raise
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle)
            return replies

    async def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._idle is not None:
            self._idle.cancel()
        await self._kill()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
            # More threads than one neither fit beside the service nor give the same numbers each time.
            environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment
            )
        return self._process

    async def _exchange(self, process: asyncio.subprocess.Process, frames: Iterable[Any]) -> list[Any]:
        assert process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
        assert process.stdout is not None  # noqa: S101 - see above
        try:
            for frame in (*frames, None):
                content = json.dumps(frame, separators=(",", ":")).encode()
                process.stdin.write(len(content).to_bytes(_LENGTH, "big") + content)
                await process.stdin.drain()
            replies: list[Any] = []
            while (reply := await _read(process.stdout)) is not None:
                replies.append(reply)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise WorkerEndedError(f"the process broke off: {type(error).__name__}") from error
        return replies

    def _end_idle(self) -> None:
        # Nobody waits for its end: the loop holds only weak references to tasks.
        ending = asyncio.get_running_loop().create_task(self._kill_idle())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _kill_idle(self) -> None:
        if not self._one_at_a_time.locked():
            async with self._one_at_a_time:
                await self._kill()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # It may have ended by itself a moment ago.
                process.kill()
        await process.wait()


async def _read(stream: asyncio.StreamReader) -> Any:
    length = int.from_bytes(await stream.readexactly(_LENGTH), "big")
    if length > _FRAME_MOST:
        raise WorkerEndedError(f"a reply of {length} bytes")
    return json.loads(await stream.readexactly(length))
