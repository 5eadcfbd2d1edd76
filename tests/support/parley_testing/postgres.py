"""A PostgreSQL server of the test run's own: made in a temporary folder, stopped and gone at the end.

Conftests that need it import the fixture: `from parley_testing.postgres import postgres`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley_testing.tools import require_tool

_START_SECONDS = 30
_STOP_SECONDS = 15


class PostgresServer:
    """A running server on a free port of the loopback address."""

    def __init__(self, port: int) -> None:
        self.port = port

    def new_database_url(self, template_url: str = "") -> str:
        """The URL of a new database: `postgresql://…`. It is empty, or a copy of one that nobody is connected to."""
        name = f"test_{uuid.uuid4().hex}"
        template = [f"--template={template_url.rpartition('/')[2]}"] if template_url else []
        subprocess.run([require_tool("createdb"), *self._place(), *template, name], check=True, capture_output=True)
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def copy_of(self, url: str) -> str:
        """The URL of a copy of a database that others are connected to, as it is at this moment."""
        source, copy = url.rpartition("/")[2], self.new_database_url()
        dump = [require_tool("pg_dump"), *self._place(), "--no-sync", source]
        script = subprocess.run(dump, check=True, capture_output=True).stdout
        load = [require_tool("psql"), *self._place(), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        subprocess.run([*load, copy.rpartition("/")[2]], input=script, check=True, capture_output=True)
        return copy

    def _place(self) -> list[str]:
        return ["--host=127.0.0.1", f"--port={self.port}", "--username=postgres"]


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Runs a server for the length of the block; skips the test (or fails it, see `tools`) when PostgreSQL is not installed."""
    initdb, postgres = require_tool("initdb"), require_tool("postgres")
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = folder / "data"
        subprocess.run(
            [
                initdb,
                f"--pgdata={data}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                # What a real server has: with the C locale lower() knows ASCII only.
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        port = _free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    postgres,
                    "-D",
                    str(data),
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ],
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
            )
        try:
            _wait_until_it_answers(process, port, folder / "log")
            yield PostgresServer(port)
        finally:
            process.send_signal(signal.SIGINT)  # ends its clients' sessions instead of waiting for them
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait(_STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run; each test takes databases of its own from it."""
    with running_postgres() as server:
        yield server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ready = require_tool("pg_isready")
    end = time.monotonic() + _START_SECONDS
    while subprocess.run([ready, "--host=127.0.0.1", f"--port={port}", "--quiet"], check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)
