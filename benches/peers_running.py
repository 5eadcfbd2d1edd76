"""The peers of `make bench`: how each is started, spoken to, and found among the processes. What is done to them is compare.py's.

Every peer is one instance as its makers start it: one worker each, the hybrid two processes, Parley its edge and its three services.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from running import ROOT, START_SECONDS, BenchError, free_port, parley, spawned

BUILD = ROOT / ".build" / "bench"
LOAD = BUILD / "load"
PEER_PYTHON = BUILD / "peers" / "bin" / "python"
LITELLM = BUILD / "litellm" / "bin" / "litellm"
NODE_MODULES = BUILD / "node" / "node_modules"
PEERS = ROOT / "benches" / "peers"

LIMITS_RAISED = {
    # One user and one address stand for hundreds: what protects users from each other is raised, and stays in the way of each call.
    "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER": "1000",
    "PARLEY_CHAT_MAX_RUNNING_TURNS": "100000",
    "PARLEY_MAX_STREAMS_PER_USER": "10000",
    "PARLEY_EDGE_USER_CALLS_PER_SECOND": "100000",
    "PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND": "100000",
    "PARLEY_EDGE_MAX_CALLS": "20000",
}
"""Settings of Parley in every run. Nothing is turned off: the turn log, SQL, tokens, limits, access log and traces are as always."""


@dataclass(frozen=True)
class Peer:
    """Something that runs and answers."""

    name: str
    """As in the table."""
    call: Mapping[str, Any]
    """What the load client is told about how to speak to it."""
    pids: Mapping[str, list[int]] = field(default_factory=dict)
    """Its processes by part; empty for the direct call."""
    unary: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Calls without a model, by name."""


_OPENAI_BODY = json.dumps(
    {"model": "fake-model", "stream": True, "messages": [{"role": "user", "content": "{MESSAGE}"}]},
    separators=(",", ":"),
)
_LITELLM_KEY = "sk-" + 64 * "b"
_JSON = {"content-type": "application/json"}


@contextlib.contextmanager
def upstream() -> Iterator[tuple[str, int]]:
    """Runs the provider. Its base URL and its process."""
    with spawned([str(LOAD), "upstream"], dict(os.environ)) as (process, lines):
        yield _first(lines, process, "http"), process.pid


def direct(base_url: str) -> Peer:
    """The provider itself: the floor."""
    return Peer("direct", _openai(base_url, "/v1/chat/completions"))


@contextlib.contextmanager
def fastapi_sse(base_url: str) -> Iterator[Peer]:
    """FastAPI, the `openai` package, server-sent events."""
    with _python_peer("fastapi_sse.py", base_url) as (port, process):
        yield Peer("FastAPI + SSE", _chat(port), {"fastapi": tree(process.pid)})


@contextlib.contextmanager
def fastapi_bytes(base_url: str) -> Iterator[Peer]:
    """FastAPI that copies bytes."""
    with _python_peer("fastapi_bytes.py", base_url) as (port, process):
        call = _openai(f"http://127.0.0.1:{port}", "/v1/chat/completions")
        yield Peer("FastAPI, bytes", call, {"fastapi": tree(process.pid)})


@contextlib.contextmanager
def hybrid(base_url: str) -> Iterator[Peer]:
    """Node and Socket.IO in front of the same FastAPI + SSE, which is its own."""
    port = free_port()
    environment = os.environ | {"BENCH_NODE_MODULES": str(NODE_MODULES), "NODE_ENV": "production"}
    with _python_peer("fastapi_sse.py", base_url) as (service, python):
        command = ["node", str(PEERS / "hybrid.mjs"), str(port), f"http://127.0.0.1:{service}"]
        with spawned(command, environment) as (node, lines):
            wait_for_port(port, node, lines)
            call = {
                "kind": "socketio",
                "address": f"127.0.0.1:{port}",
                "body": '42["chat",{"message":"{MESSAGE}"}]',
            }
            yield Peer("hybrid", call, {"node": tree(node.pid), "fastapi": tree(python.pid)})


@contextlib.contextmanager
def litellm(base_url: str, folder: Path) -> Iterator[Peer]:
    """The LiteLLM proxy, without a database."""
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: fake-model\n    litellm_params:\n      model: openai/fake-model\n"
        f"      api_base: {base_url}\n      api_key: unused\n",
        encoding="utf-8",
    )
    command = [
        str(LITELLM),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--telemetry",
        "False",
    ]
    environment = os.environ | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "NO_DOCS": "True",
        "LITELLM_MASTER_KEY": _LITELLM_KEY,
    }
    with spawned(command, environment) as (process, lines):
        wait_for_port(port, process, lines)
        call = _openai(f"http://127.0.0.1:{port}", "/v1/chat/completions")
        call["headers"] = {**call["headers"], "authorization": f"Bearer {_LITELLM_KEY}"}
        yield Peer("LiteLLM", call, {"litellm": tree(process.pid)})


@contextlib.contextmanager
def portkey(base_url: str) -> Iterator[Peer]:
    """The Portkey gateway, told by headers where the provider is."""
    port = free_port()
    server = NODE_MODULES / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    environment = os.environ | {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    command = ["node", "--import", str(PEERS / "portkey_fetch.mjs"), str(server), f"--port={port}", "--headless"]
    with spawned(command, environment) as (process, lines):
        wait_for_port(port, process, lines)
        call = _openai(f"http://127.0.0.1:{port}", "/v1/chat/completions")
        call["headers"] = {
            **call["headers"],
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": base_url,
            "authorization": "Bearer unused",
        }
        yield Peer("Portkey", call, {"portkey": tree(process.pid)})


@contextlib.contextmanager
def parley_whole(base_url: str, folder: Path, more: Mapping[str, str]) -> Iterator[Peer]:
    """Parley through its edge, everything on, `more` settings over those of the bench."""
    provider = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "unused", "PARLEY_INFERENCE_MODEL": "fake-model"}
    with parley(folder / "parley", LIMITS_RAISED | provider | dict(more)) as running:
        headers = _JSON | {"authorization": f"Bearer {running.token()}"}
        address = running.url.removeprefix("http://")
        base = {"kind": "sse", "address": address, "headers": headers}
        call = base | {
            "path": "/api/v2/chat/send",
            # Who hangs up wants no more of the answer: so that the next measurement does not pay for the last one.
            "body": '{"message":"{MESSAGE}","session_id":"{SESSION}","stream":true,"route":"ROUTE_STANDARD","detach":false}',
            "session_path": "/api/v2/chat/sessions",
            "session_body": '{"title":"Bench"}',
        }
        create = base | {"kind": "unary", "path": "/api/v2/chat/sessions", "body": '{"title":"Bench"}'}
        listing = create | {
            "method": "GET",
            "path": "/api/v2/chat/sessions/{SESSION}/messages",
            "body": "",
            "session_path": "/api/v2/chat/sessions",
            "session_body": '{"title":"Bench"}',
        }
        facts: dict[str, Any] = json.loads((running.home / "ready.json").read_text(encoding="utf-8"))
        pids = {name: [int(pid)] for name, pid in facts["processes"].items()}
        known = {pid for of_part in pids.values() for pid in of_part}
        for pid in tree(running.process.pid):
            if pid not in known:
                pids.setdefault("others", []).append(pid)
        yield Peer("Parley", call, pids, {"create session": create, "list messages": listing})


@contextlib.contextmanager
def fastapi_sqlite(folder: Path) -> Iterator[Peer]:
    """FastAPI over SQLite: calls without a model."""
    port = free_port()
    command = [str(PEER_PYTHON), str(PEERS / "fastapi_sqlite.py"), "--folder", str(folder), "--port", str(port)]
    with spawned(command, dict(os.environ)) as (process, lines):
        token = _first(lines, process, "token ").removeprefix("token ")
        wait_for_port(port, process, lines)
        headers = _JSON | {"authorization": f"Bearer {token}"}
        create = {
            "kind": "unary",
            "address": f"127.0.0.1:{port}",
            "headers": headers,
            "path": "/sessions",
            "body": '{"title":"Bench"}',
        }
        listing = create | {
            "method": "GET",
            "path": "/sessions/{SESSION}/messages",
            "body": "",
            "session_path": "/sessions",
            "session_body": '{"title":"Bench"}',
        }
        unary = {"create session": create, "list messages": listing}
        yield Peer("FastAPI + SQLite", create, {"fastapi": tree(process.pid)}, unary)


def tree(pid: int) -> list[int]:
    """A process and all that it started, now."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int(
                    (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
                )
                children.setdefault(parent, []).append(int(folder.name))
    found, at = [pid], 0
    while at < len(found):
        found += children.get(found[at], [])
        at += 1
    return found


def wait_for_port(port: int, process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Waits until something listens there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    said = []
    while not lines.empty():
        said.append(lines.get())
    raise BenchError(f"{process.args!r} does not listen:\n{''.join(said[-20:])}")


def _openai(base_url: str, path: str) -> dict[str, Any]:
    address = base_url.removeprefix("http://").partition("/")[0]
    return {"kind": "sse", "address": address, "path": path, "headers": _JSON, "body": _OPENAI_BODY}


def _chat(port: int) -> dict[str, Any]:
    return {
        "kind": "sse",
        "address": f"127.0.0.1:{port}",
        "path": "/chat",
        "headers": _JSON,
        "body": '{"message":"{MESSAGE}"}',
    }


@contextlib.contextmanager
def _python_peer(file: str, base_url: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    port = free_port()
    command = [str(PEER_PYTHON), str(PEERS / file), "--upstream", base_url, "--port", str(port)]
    with spawned(command, dict(os.environ)) as (process, lines):
        wait_for_port(port, process, lines)
        yield port, process


def _first(lines: queue.Queue[str], process: subprocess.Popen[str], begins: str) -> str:
    """The first line that begins so."""
    deadline = time.monotonic() + START_SECONDS
    said = []
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        if line.startswith(begins):
            return line.strip()
        said.append(line)
    raise BenchError(f"{process.args!r} did not start:\n{''.join(said[-20:])}")


def started(
    stack: contextlib.ExitStack, wanted: list[str], base_url: str, folder: Path, more: Mapping[str, str]
) -> list[Peer]:
    """Starts the peers that are wanted, each in the order of the table."""
    makers: dict[str, Callable[[], contextlib.AbstractContextManager[Peer]]] = {
        "parley": lambda: parley_whole(base_url, folder, more),
        "hybrid": lambda: hybrid(base_url),
        "fastapi": lambda: fastapi_sse(base_url),
        "bytes": lambda: fastapi_bytes(base_url),
        "litellm": lambda: litellm(base_url, folder),
        "portkey": lambda: portkey(base_url),
    }
    peers = [direct(base_url)] if "direct" in wanted else []
    for name, maker in makers.items():
        if name in wanted:
            print(f"starting {name} …", file=sys.stderr, flush=True)
            peers.append(stack.enter_context(maker()))
    return peers
