"""The whole of Parley for a test: a real `parley up` with real Envoy and real services, on free ports, in a home of its own.

    with Mesh.start(tmp_path / "home", {"OPENAI_BASE_URL": upstream.url, "OPENAI_API_KEY": "test"}) as mesh:
        user = mesh.sign_up()                    # a new account: user.token, user.user_id, user.authorization
        mesh.base_url                            # "http://127.0.0.1:41234": REST, SSE, gRPC-web, the page
        mesh.grpc_address                        # "127.0.0.1:41234": the same port, for grpc.aio.insecure_channel
        mesh.kill("chat")                        # kill -9; `parley up` starts it again
        mesh.wait_until_back("chat", old_pid)    # or both at once: mesh.restart("chat")
        print(mesh.logs())                       # everything that parley up and its children said

Several processes of chat, `chat`, `chat-2`, …, on a database and a Redis server of the run's own (fixtures `postgres` and `redis_server`):

    with Mesh.start(home, replicas_of_chat(postgres.new_database_url(), redis_server.new_url())) as mesh:
        mesh.address("chat-2")                   # straight at one of them, past the edge
        mesh.restart("chat-2")                   # waits until the edge sends calls to this one again

Every call here blocks. In an async test whose own event loop must go on meanwhile (because it serves the fake upstream, say), wrap it:
`await asyncio.to_thread(mesh.restart, "chat")`. Most tests take the fixtures of tests/e2e/conftest.py: `mesh`, one for the session
with the embedded defaults, and `start_mesh`, which makes special ones.

Nothing of the caller's environment that configures Parley or a provider gets in, so a developer's key is never used.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVICES = ("chat", "inference", "retrieval")
_FOREIGN = ("PARLEY_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "OTEL_")
_DEFAULTS = {
    "PARLEY_EDGE_PORT": "0",
    "PARLEY_CHAT_PORT": "0",
    "PARLEY_INFERENCE_PORT": "0",
    "PARLEY_RETRIEVAL_PORT": "0",
    # Tests sign up more people, and call faster, than anybody at one address does.
    "PARLEY_EDGE_SIGN_INS_PER_MINUTE": "100000",
    "PARLEY_EDGE_USER_CALLS_PER_SECOND": "100000",
    "PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND": "1000000",
    # Tests count what models are asked: titles come in by themselves.
    "PARLEY_CHAT_TITLE_SECONDS": "0",
    # Nobody waits for a test's last streams.
    "PARLEY_DRAIN_SECONDS": "2",
}


def replicas_of_chat(database_url: str, redis_url: str, count: int = 2) -> dict[str, str]:
    """The settings of a Parley with so many processes of chat, which share an empty database and a Redis server."""
    return {
        "PARLEY_UP_CHAT_REPLICAS": str(count),
        "PARLEY_CHAT_DATABASE_URL": database_url,
        "PARLEY_CHAT_REDIS_URL": redis_url,
    }


@dataclass(frozen=True)
class SignedUp:
    """A new account and its first tokens."""

    user_id: str
    email: str
    password: str
    token: str
    """The access token."""
    refresh_token: str

    @property
    def authorization(self) -> str:
        """The value of the header: `Bearer …`."""
        return f"Bearer {self.token}"

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The same for a gRPC call: `stub.ListSessions(request, metadata=user.metadata)`."""
        return (("authorization", self.authorization),)


@dataclass
class Mesh:
    """One running Parley. `start` makes it."""

    home: Path
    """PARLEY_HOME."""
    process: subprocess.Popen[bytes]
    """`parley up`."""
    log_file: Path
    """What it and its children said."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its environment."""
    _last_facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def launch(cls, home: Path, environment: Mapping[str, str] | None = None) -> Mesh:
        """Starts `parley up` and does not wait: for tests of its start."""
        home.parent.mkdir(parents=True, exist_ok=True)
        log_file = home.with_name(f"{home.name}.log")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        variables |= {**_DEFAULTS, "PARLEY_HOME": str(home), **(environment or {})}
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "parley_local"], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return cls(home, process, log_file, variables)

    @classmethod
    def start(cls, home: Path, environment: Mapping[str, str] | None = None, *, seconds: float = 90) -> Mesh:
        """Starts `parley up` and waits until it is ready. AssertionError with its logs when it is not."""
        mesh = cls.launch(home, environment)
        try:
            mesh.wait_until_ready(seconds)
        except BaseException:
            mesh.stop()
            raise
        return mesh

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ready_file(self) -> Path:
        """ready.json, which exists while it is ready."""
        return self.home / "ready.json"

    @property
    def facts(self) -> dict[str, Any]:
        """What ready.json says now, or said last: url, addresses, processes."""
        try:
            self._last_facts = json.loads(self.ready_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            assert self._last_facts, "it was never ready"
        return self._last_facts

    @property
    def base_url(self) -> str:
        """The edge, as a URL."""
        return str(self.facts["url"])

    @property
    def grpc_address(self) -> str:
        """The edge, as host:port."""
        return str(self.facts["addresses"]["edge"])

    def address(self, service: str) -> str:
        """host:port of one process itself, behind the edge: "chat", "chat-2", "inference", …"""
        return str(self.facts["addresses"][service])

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name: up, edge, chat, inference, retrieval; with replicas also chat-2, chat-3, …"""
        return dict(self.facts["processes"])

    def wait_until_ready(self, seconds: float = 90) -> None:
        """Waits for ready.json of this run: one that was killed may have left its own."""
        self._wait(lambda: self.ready_file.exists() and self.pids["up"] == self.process.pid, "it was ready", seconds)

    def sign_up(self) -> SignedUp:
        """Makes an account with a name of its own, through the edge."""
        email, password = f"{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(16)
        status, body = self.request("POST", "/api/v2/identity/sign-up", {"email": email, "password": password})
        assert status == 200, f"sign-up: HTTP {status} {body!r}"
        answer = json.loads(body)
        tokens = answer["tokens"]
        return SignedUp(answer["user"]["user_id"], email, password, tokens["access_token"], tokens["refresh_token"])

    def make_admin(self, user: SignedUp) -> SignedUp:
        """Makes somebody an admin as the operator does, and signs them in again: their token has the scopes of admins."""
        command = [sys.executable, "-m", "parley_chat.set_role", user.email, "admin"]
        subprocess.run(command, env=dict(self.variables), check=True, capture_output=True, timeout=120)
        status, body = self.request(
            "POST", "/api/v2/identity/sign-in", {"email": user.email, "password": user.password}
        )
        assert status == 200, f"sign-in: HTTP {status} {body!r}"
        tokens = json.loads(body)["tokens"]
        return replace(user, token=tokens["access_token"], refresh_token=tokens["refresh_token"])

    def request(
        self,
        method: str,
        path: str,
        message: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30,
    ) -> tuple[int, bytes]:
        """One REST call: HTTP status and body. A message is sent as JSON."""
        status, _, body = self.exchange(method, path, message, headers=headers, seconds=seconds)
        return status, body

    def exchange(
        self,
        method: str,
        path: str,
        message: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30,
    ) -> tuple[int, dict[str, str], bytes]:
        """One REST call: HTTP status, headers (names in lower case) and body."""
        connection = http.client.HTTPConnection(self.grpc_address, timeout=seconds)
        try:
            body = None if message is None else message if isinstance(message, bytes) else json.dumps(message).encode()
            given = {} if body is None else {"content-type": "application/json"}
            # A refusal may come while the body is still being sent, and the connection be closed behind it.
            with suppress(ConnectionResetError, BrokenPipeError):
                connection.request(method, path, body, given | dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def kill(self, service: str, number: int = signal.SIGKILL) -> int:
        """Sends a process a signal, kill -9 by default. Returns the id it had."""
        pid = self.pids[service]
        os.kill(pid, number)
        return pid

    def restart(self, service: str, *, seconds: float = 30) -> None:
        """kill -9, and waits until its successor answers through the edge."""
        self.wait_until_back(service, self.kill(service), seconds=seconds)

    def wait_until_back(self, service: str, old_pid: int, *, seconds: float = 60) -> None:
        """Waits until another process has taken the place of the old one, and the edge has found that it takes calls."""
        self._wait(
            lambda: self.pids[service] != old_pid and self._listens(service), f"{service} listened again", seconds
        )
        if service == "edge":
            self._wait(lambda: self.request("GET", "/healthz")[0] == 200, "the edge was healthy", seconds)
            return
        self._wait_for_edge_to_find(service, seconds)

    def logs(self) -> str:
        """Everything that parley up and its children have said so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def access_log(self) -> list[dict[str, Any]]:
        """The edge's lines so far. A line comes up to half a second after its answer."""
        lines = (self.home / "logs" / "edge.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def wait_for_access_log(self, wanted: Callable[[dict[str, Any]], bool], *, seconds: float = 10) -> dict[str, Any]:
        """The first of the edge's lines that is wanted."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found.extend(filter(wanted, self.access_log()))
            return bool(found)

        self._wait(look, "it was logged", seconds)
        return found[0]

    def stop(self, *, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Stops it, when it runs. Returns the exit code of parley up."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _listens(self, service: str) -> bool:
        host, _, port = self.address(service).rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            return False
        return True

    def _wait_for_edge_to_find(self, service: str, seconds: float) -> None:
        """Waits until the edge has found a process healthy by a check that came after now.

        What Envoy knew before may be about the process before this one, in either direction.
        """
        cluster = re.sub(r"-\d+$", "", service)
        before = self._health_checks_passed(cluster)
        # It counts the checks of a cluster and not those of a host. A healthy host is checked as often as any other, so
        # none is left out when each could have passed twice.
        replicas = len([name for name in self.facts["addresses"] if re.fullmatch(rf"{cluster}(-\d+)?", name)])
        enough = before + 2 * replicas - 1
        healthy = f"{cluster}::{self.address(service)}::health_flags::healthy"
        self._wait(
            lambda: self._health_checks_passed(cluster) >= enough and healthy in self._ask_edge("/clusters").split(),
            f"the edge found {service} healthy",
            seconds,
        )

    def _health_checks_passed(self, cluster: str) -> int:
        """How many of Envoy's health checks of a service have passed so far."""
        return int(self._ask_edge(f"/stats?filter=^cluster\\.{cluster}\\.health_check\\.success$").rpartition(":")[2])

    def _ask_edge(self, path: str) -> str:
        """What Envoy's admin interface answers."""
        connection = http.client.HTTPConnection(self.address("edge_admin"), timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            code = self.process.poll()
            assert code is None, f"parley up ended with exit code {code} before {what}:\n{self.logs()[-8000:]}"
            assert time.monotonic() < deadline, f"not after {seconds:g} s: {what}\n{self.logs()[-8000:]}"
            time.sleep(0.02)
