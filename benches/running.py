"""Starting and stopping what is measured: Parley as a whole, the upstream, the peer. And how much memory they take."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0


class BenchError(Exception):
    """What is measured did not start; the message says what it said."""


@dataclass(frozen=True)
class RunningParley:
    """A `parley up` that is ready."""

    url: str
    """The edge, `http://host:port`."""
    home: Path
    """Its data, keys and logs."""
    process: subprocess.Popen[str]
    """The supervisor."""
    started: float
    """When it was executed, `time.monotonic()`."""
    ready_seconds: float
    """From there to its ready line."""
    lines: queue.Queue[str]
    """What it said since."""

    def token(self) -> str:
        """A personal access token of the local user."""
        command = [_tool("parley"), "token", "create"]
        environment = os.environ | {"PARLEY_HOME": str(self.home)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise BenchError(f"parley token create: {done.stderr.strip()}")
        return done.stdout.strip()

    def last_words(self, count: int = 20) -> str:
        """The last lines that it said."""
        said = []
        while not self.lines.empty():
            said.append(self.lines.get())
        return "".join(said[-count:])

    def memory(self) -> dict[str, dict[str, float]]:
        """MiB of each process by name: PSS and RSS. Only on Linux; empty elsewhere."""
        facts: dict[str, Any] = json.loads((self.home / "ready.json").read_text(encoding="utf-8"))
        processes = facts["processes"]
        return {name: memory for name, pid in processes.items() if (memory := _memory_of(int(pid)))}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def parley(home: Path, variables: Mapping[str, str]) -> Iterator[RunningParley]:
    """Runs Parley in a home of its own, on free ports, without the providers of this machine's environment."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PARLEY_", "OPENAI_", "OLLAMA_", "ANTHROPIC_"))
    }
    ports = {f"PARLEY_{name}_PORT": "0" for name in ("EDGE", "CHAT", "INFERENCE", "RETRIEVAL")}
    environment = inherited | ports | {"PARLEY_HOME": str(home)} | dict(variables)
    started = time.monotonic()
    with spawned([_tool("parley"), "up"], environment) as (process, lines):
        url = _wait_for(
            lines, process, lambda line: line.removeprefix("ready ").strip() if line.startswith("ready http") else None
        )
        yield RunningParley(url, home, process, started, time.monotonic() - started, lines)


@contextlib.contextmanager
def fake_upstream(tokens_per_second: float, words: int) -> Iterator[str]:
    """Runs the fake provider, and gives its base URL."""
    command = [
        sys.executable,
        "-m",
        "parley_testing.fake_openai",
        "--tokens-per-second",
        str(tokens_per_second),
        "--words",
        str(words),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "support")}
    with spawned(command, environment) as (process, lines):
        yield _wait_for(lines, process, lambda line: line.strip() if line.startswith("http") else None)


@contextlib.contextmanager
def fastapi_peer(upstream: str) -> Iterator[tuple[str, int]]:
    """Runs the peer in front of an upstream, and gives its URL and process id."""
    port = free_port()
    command = [
        sys.executable,
        str(ROOT / "benches" / "peers" / "fastapi_sse.py"),
        "--upstream",
        upstream,
        "--port",
        str(port),
    ]
    with spawned(command, dict(os.environ)) as (process, _):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                yield f"http://127.0.0.1:{port}", process.pid
                return
            time.sleep(0.05)
        raise BenchError("the FastAPI peer did not start")


def memory_of_process(pid: int) -> dict[str, float]:
    """MiB of one process: PSS and RSS. Empty where /proc does not tell."""
    return _memory_of(pid)


@contextlib.contextmanager
def spawned(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[str]]]:
    """A child in a group of its own, its output by lines; interrupted at the end, and killed with its group when that does not help."""
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read, args=(child, lines), daemon=True)
    reader.start()
    try:
        yield child, lines
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(10)


def _read(child: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    for line in child.stdout or ():
        lines.put(line)


def _wait_for(lines: queue.Queue[str], process: subprocess.Popen[str], found: Callable[[str], str | None]) -> str:
    """The first line of which `found` makes something. The child's last words when there is none."""
    seen: list[str] = []
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        seen.append(line)
        if (result := found(line)) is not None:
            return result
    raise BenchError(f"{process.args!r} did not start:\n{''.join(seen[-20:])}")


def _memory_of(pid: int) -> dict[str, float]:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return {}
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines()[1:] if line.endswith("kB")}
    return {"pss": sizes["Pss"], "rss": sizes["Rss"]}


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
