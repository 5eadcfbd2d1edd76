"""One child process: started, its output told line by line, started again when it dies, stopped.

It does not know what its child is.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

WRONG_SETTING = 2
"""The exit code with which a child says that starting it again will not help."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 10.0
_READ_BYTES = 64 * 1024
_LONGEST_LINE = 64 * 1024
_LAST_WORDS_SECONDS = 0.5
_SET_PARENT_DEATH_SIGNAL = 1


@dataclass
class Child:
    """A child that is kept running until it is stopped."""

    name: str
    """What it is called in the logs."""
    command: Sequence[str]
    """What to execute."""
    environment: Mapping[str, str]
    """Its environment, whole."""
    tell: Callable[[str, str], None]
    """Gets its name and each line of its output."""
    died: Callable[[Child], None]
    """Called when it has died and is to be started again."""
    started: Callable[[], None]
    """Called after each start."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    """The end of its output."""
    process: asyncio.subprocess.Process | None = None
    """The process that runs now."""
    output: BinaryIO | None = None
    """What it says."""
    deaths: int = 0
    """How often in a row it has died soon after its start."""
    _stopping: bool = False

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now."""
        return self.process.pid if self.process and self.process.returncode is None else None

    async def start(self) -> None:
        """Starts it for the first time."""
        await self._spawn()

    async def keep_running(self) -> int:
        """Starts it again whenever it dies, later each time. Returns its exit code when it was stopped or has a wrong setting."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._run_to_its_end()
            if self._is_stopping() or code == WRONG_SETTING:
                return code
            self.deaths = 1 if loop.time() - began > _STEADY_SECONDS else self.deaths + 1
            pause = min(_FIRST_PAUSE * 2 ** (self.deaths - 1), _LONGEST_PAUSE)
            self.tell(self.name, f"ended {_how(code)}; it is started again in {pause:g} s")
            self.died(self)
            await asyncio.sleep(pause)
            if self._is_stopping():
                return code
            await self._spawn()

    def _is_stopping(self) -> bool:
        return self._stopping

    async def stop(self, seconds: float) -> None:
        """Asks it to end, and kills it when it has not within so many seconds."""
        self._stopping = True
        self.signal(signal.SIGTERM)
        if self.process is not None:
            try:
                await asyncio.wait_for(self.process.wait(), seconds)
            except TimeoutError:
                self.tell(self.name, f"did not end within {seconds:g} s and is killed")
                self.kill()
                await self.process.wait()

    def kill(self) -> None:
        """Kills it, and what it has started itself, at once."""
        self._stopping = True
        if self.pid is not None:
            self._kill_group(self.pid)

    def signal(self, number: int) -> None:
        """Sends it a signal, when it runs."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _kill_group(self, group: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)

    async def _spawn(self) -> None:
        # A pipe of our own: with one of asyncio's, a child that has died is not noticed while what it has started holds the pipe open.
        reading, writing = os.pipe()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                # A group of its own: Ctrl-C in the terminal is ours to pass on.
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.output = os.fdopen(reading, "rb", buffering=0)
        self.started()

    async def _run_to_its_end(self) -> int:
        if self.process is None or self.output is None:
            message = f"{self.name} has not been started"
            raise RuntimeError(message)
        output = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(output)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self.output)
        listening = asyncio.create_task(self._tell_lines(output))
        code = await self.process.wait()
        # Its last words, unless what it has started itself goes on talking.
        await asyncio.wait({listening}, timeout=_LAST_WORDS_SECONDS)
        listening.cancel()
        transport.close()
        # What it has started itself must not stand in its successor's way.
        self._kill_group(self.process.pid)
        return code

    async def _tell_lines(self, output: asyncio.StreamReader) -> None:
        unfinished = b""
        while chunk := await output.read(_READ_BYTES):
            *lines, unfinished = (unfinished + chunk).split(b"\n")
            if len(unfinished) > _LONGEST_LINE:
                lines, unfinished = [*lines, unfinished], b""
            for line in lines:
                self._tell_line(line)
        if unfinished:
            self._tell_line(unfinished)

    def _tell_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last_lines.append(text)
        self.tell(self.name, text)


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    with suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"


def _die_with(parent: int) -> Callable[[], None] | None:
    """Has the kernel kill the child when its parent is gone, also when that was killed itself. On Linux; elsewhere None."""
    if not sys.platform.startswith("linux"):
        return None
    # Loaded here: between fork and exec nothing must be imported.
    libc = ctypes.CDLL(None, use_errno=True)

    def before_exec() -> None:
        libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            # It was gone before the kernel knew.
            os._exit(1)

    return before_exec
