"""The `parley` command as a process: in a pipe, or on a terminal of its own that a test types on."""

from __future__ import annotations

import asyncio
import codecs
import os
import pty
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

SECONDS = 60
"""How long anything may take before a test gives it up."""

COMMAND = (sys.executable, "-m", "parley_cli")
"""What `parley` is."""

# Ctrl-C on a terminal is for the process that owns it.
_OWNING_THE_TERMINAL = """
import fcntl, signal, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
# As a shell starts a command in the foreground, also where the tests themselves run in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
from parley_cli.__main__ import main
main()
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_FOREIGN = ("PARLEY_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "OTEL_")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, and nothing of the developer's own Parley."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"TERM": "xterm", "NO_COLOR": "1"} | dict(variables)


async def start(variables: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    """Starts a command in pipes."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(variables)
    )


async def end(process: asyncio.subprocess.Process, given: str = "", *, seconds: float = SECONDS) -> Ended:
    """Waits for its end. A traceback is a failure, whatever the test is about."""
    try:
        out, err = await asyncio.wait_for(process.communicate(given.encode()), seconds)
    except TimeoutError:
        process.kill()
        raise
    assert b"Traceback" not in err, err.decode()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def run(variables: Mapping[str, str], *arguments: str, given: str = "") -> Ended:
    """Runs a command in pipes to its end."""
    return await end(await start(variables, *arguments), given)


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, handle: int, process: asyncio.subprocess.Process) -> None:
        self.handle = handle
        self.process = process
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.handle, 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.handle)
        self.raw += self._decoder.decode(data)
        self._more.set()

    @property
    def seen(self) -> str:
        """What was printed, without colours and movements of the cursor."""
        return _ESCAPES.sub("", self.raw)

    def type(self, text: str) -> None:
        """Types: `\\r` is Enter, `\\x03` Ctrl-C, `\\x04` Ctrl-D."""
        os.write(self.handle, text.encode())

    async def until(self, condition: Callable[[str], object]) -> str:
        """What was seen, when the condition holds of it."""
        try:
            async with asyncio.timeout(SECONDS):
                while not condition(self.seen):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"it never came; seen until then: {self.seen!r}") from None
        return self.seen

    async def leave(self) -> int:
        """Ctrl-C at the prompt, until it has ended. Returns its exit code.

        More than once: a signal between the drawing of the prompt and the waiting for a key is not noticed before the next one.
        """
        async with asyncio.timeout(SECONDS):
            while self.process.returncode is None:
                self.type("\x03")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), 1.0)
        return self.process.returncode

    async def end(self) -> int:
        """Its exit code, when it has ended."""
        return await asyncio.wait_for(self.process.wait(), SECONDS)


@asynccontextmanager
async def terminal(variables: Mapping[str, str], *arguments: str) -> AsyncIterator[Terminal]:
    """Runs a command on a terminal of 80 columns and 24 lines."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", _OWNING_THE_TERMINAL],
        *arguments,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment({"COLUMNS": "80", "LINES": "24"} | dict(variables)),
        start_new_session=True,
    )
    os.close(theirs)
    shown = Terminal(ours, process)
    try:
        yield shown
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
