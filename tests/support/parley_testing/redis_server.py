"""A Redis server of the test run's own: in a temporary folder, on a free port, gone at the end. It can be killed, frozen and started again.

Conftests that need it import the fixture: `from parley_testing.redis_server import redis_server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley_testing.tools import require_tool

_START_SECONDS = 30
_STOP_SECONDS = 15
_DATABASES = 10_000


class RedisServer:
    """A server that keeps an append-only file, as a real one for turns does."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self.port = _free_port()
        self._folder = folder
        self._password = password
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None

    def new_url(self) -> str:
        """The URL of a database that nobody used."""
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/{next(self._numbers) % _DATABASES}"

    def start(self) -> None:
        """Starts it on what its folder holds, and waits until it answers."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "databases": _DATABASES,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        if self._password:
            options["requirepass"] = self._password
        command = [require_tool("redis-server")]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Redis did not start:\n{(self._folder / 'log').read_text(errors='replace')}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kills it with -9; what it had written to its file stays."""
        self._send(signal.SIGKILL)
        self._wait()

    def freeze(self) -> None:
        """Stops it where it is: connections stay, and nothing is answered."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen one go on."""
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """Ends it, whatever it does."""
        if self._process and self._process.poll() is None:
            self.kill()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(_STOP_SECONDS)

    def ask(self, *words: str) -> bytes:
        """Sends one command and gives the raw beginning of its answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            for command in [("AUTH", self._password), words] if self._password else [words]:
                encoded = [word.encode() for word in command]
                connection.sendall(
                    b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
                )
                answer = connection.recv(65536)
        return answer

    async def until_written(self) -> None:
        """Waits until the operating system holds all that was done, so that a kill loses nothing of it."""
        end = time.monotonic() + _START_SECONDS
        while b"aof_buffer_length:0\r" not in (state := await asyncio.to_thread(self.ask, "INFO", "persistence")):
            if time.monotonic() > end:
                raise RuntimeError(f"Redis does not write its file:\n{state.decode()}")
            await asyncio.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False


@contextlib.contextmanager
def running_redis(*, password: str = "") -> Iterator[RedisServer]:
    """Runs a server for the length of the block; skips the test (or fails it, see `tools`) when Redis is not installed."""
    require_tool("redis-server")
    folder = Path(tempfile.mkdtemp(prefix="parley-redis-"))
    server = RedisServer(folder, password=password)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for the whole run; each test takes databases of its own from it. Who kills or freezes one takes `running_redis`."""
    with running_redis() as server:
        yield server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
