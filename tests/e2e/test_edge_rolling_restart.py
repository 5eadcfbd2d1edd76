"""Two processes of each service, restarted one after the other under load: nobody notices.

Real services and a real Envoy. SIGTERM, as an orchestrator does it: the process says that it stops, goes on until the edge has seen
it, lets what runs end, and ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp
import grpc
import pytest
from parley.chat.v1 import chat_service_pb2, chat_service_pb2_grpc, message_pb2, turn_event_pb2
from parley.inference.v1 import scoring_service_pb2, scoring_service_pb2_grpc
from parley.retrieval.v1 import document_service_pb2, document_service_pb2_grpc
from parley_testing.doors import GrpcDoor, RefusedError
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.small_edge import free_ports, running_envoy, until_healthy

SERVICES = ("chat", "inference", "retrieval")
ENDS = {"completed", "failed", "stopped"}
CUT = {grpc.StatusCode.CANCELLED.value[0], grpc.StatusCode.UNAVAILABLE.value[0]}
"""How a stream breaks off whose server goes away."""


class Process:
    """One process of a service."""

    def __init__(self, service: str, port: int, environment: Mapping[str, str], log: IO[bytes]) -> None:
        self.service = service
        self.address = f"127.0.0.1:{port}"
        self._environment = dict(environment) | {f"PARLEY_{service.upper()}_PORT": str(port)}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = [sys.executable, "-m", f"parley_{self.service}"]
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdout=self._log, stderr=self._log
        )

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Waits until it has ended. Its exit code."""
        assert self._process
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(240):
            return await self._process.wait()

    async def kill(self) -> None:
        if self._process:
            await self.stop(signal.SIGKILL)


@dataclass
class Parley:
    """Two of each, and the edge before them."""

    address: str
    admin_port: int
    processes: list[Process]

    async def restart(self, process: Process) -> None:
        """Stops it, starts it again, and waits until the edge sends calls there again."""
        assert await process.stop() == 0
        await until_healthy(self.admin_port, {process.address: process.service}, healthy=False)
        await process.start()
        await until_healthy(self.admin_port, {process.address: process.service})


@asynccontextmanager
async def running(folder: Path, database_url: str, redis_url: str) -> AsyncIterator[Parley]:
    ports = free_ports(2 * len(SERVICES))
    places = {service: ports[2 * number : 2 * number + 2] for number, service in enumerate(SERVICES)}
    addresses = {service: [f"127.0.0.1:{port}" for port in both] for service, both in places.items()}
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "OPENAI_"))} | {
        "PARLEY_HOME": str(folder / "home"),
        "PARLEY_CHAT_DATABASE_URL": database_url,
        "PARLEY_CHAT_REDIS_URL": redis_url,
        "PARLEY_CHAT_TITLE_SECONDS": "0",
        "PARLEY_INFERENCE_ADDRESS": f"ipv4:{','.join(addresses['inference'])}",
        "PARLEY_RETRIEVAL_ADDRESS": f"ipv4:{','.join(addresses['retrieval'])}",
        "PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND": "50",
        # The edge looks twice a second: so it does even when the machine stands still for a while.
        "PARLEY_DRAIN_NOTICE_SECONDS": "3",
        "PARLEY_DRAIN_SECONDS": "30",
    }
    async with AsyncExitStack() as closing:
        log = closing.enter_context((folder / "services.log").open("wb"))
        processes: list[Process] = []
        for service, both in places.items():
            for number, port in enumerate(both):
                own = {}
                if service == "retrieval":
                    # Each has an index of its own: nothing is written to them here.
                    own = {
                        "PARLEY_HOME": str(folder / f"retrieval-{number}"),
                        "PARLEY_JWKS_FILE": str(folder / "home" / "keys" / "jwks.json"),
                    }
                processes.append(Process(service, port, variables | own, log))
                closing.push_async_callback(processes[-1].kill)
        edge_variables = {f"PARLEY_{service.upper()}_ADDRESS": ",".join(all_) for service, all_ in addresses.items()}
        port, admin_port = await closing.enter_async_context(
            running_envoy(folder, edge_variables | {"PARLEY_EDGE_USER_CALLS_PER_SECOND": "100000"})
        )
        # The first of all makes the keys and the tables.
        first, *others = processes
        await first.start()
        await until_healthy(admin_port, {first.address: first.service})
        for process in others:
            await process.start()
        await until_healthy(admin_port, {process.address: process.service for process in processes})
        yield Parley(f"127.0.0.1:{port}", admin_port, processes)


@pytest.fixture
async def parley(tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer) -> AsyncIterator[Parley]:
    database_url = await asyncio.to_thread(postgres.new_database_url)
    async with running(tmp_path, database_url, redis_server.new_url()) as started:
        yield started


class Load:
    """Calls and streams, one after the other of each kind, until they are told to end."""

    def __init__(self, address: str, token: str) -> None:
        self.done: Counter[str] = Counter()
        """How many of each have ended well."""
        self._over = asyncio.Event()
        self._door = GrpcDoor(address, token)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.enable_retries", 0)])
        chat: Any = chat_service_pb2_grpc.ChatServiceStub(self._channel)
        inference: Any = scoring_service_pb2_grpc.ScoringServiceStub(self._channel)
        retrieval: Any = document_service_pb2_grpc.DocumentServiceStub(self._channel)
        self._kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "writes": self._unary(chat.CreateSession, chat_service_pb2.CreateSessionRequest()),
            "reads": self._unary(chat.ListSessions, chat_service_pb2.ListSessionsRequest()),
            "models": self._unary(inference.ListScoringModels, scoring_service_pb2.ListScoringModelsRequest()),
            "documents": self._unary(retrieval.ListDocuments, document_service_pb2.ListDocumentsRequest()),
            "streams": self._stream,
        }

    def _unary(self, call: Any, request: Any) -> Callable[[], Awaitable[None]]:
        async def make() -> None:
            await call(request, metadata=self._metadata, timeout=60)

        return make

    async def _stream(self) -> None:
        """A turn, resumed after the last event as often as it takes, as every client of Parley does."""
        request = chat_service_pb2.StreamReplyRequest(message="Go on, please.", route=message_pb2.ROUTE_STANDARD)
        events: list[turn_event_pb2.TurnEvent] = []
        async with asyncio.timeout(240):
            await self._read(self._door.stream(request), events)
            assert events, "a turn that did not begin"
            while events[-1].WhichOneof("event") not in ENDS:
                await self._read(self._door.resume(events[0].turn_id, events[-1].sequence), events)
        sequence = 0
        for event in events:
            assert event.first_sequence == sequence + 1, (sequence, event)
            sequence = event.sequence
        assert events[-1].WhichOneof("event") == "completed", events[-1]
        text = "".join(event.delta.text for event in events)
        assert text == events[-1].completed.message.text

    async def _read(self, stream: Any, into: list[turn_event_pb2.TurnEvent]) -> None:
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    into.append(event)  # noqa: PERF401 - what came before the stream broke off is kept
        except RefusedError as refused:
            if refused.code not in CUT:
                raise
            await asyncio.sleep(0.05)

    async def _again_and_again(self, kind: str) -> None:
        while not self._over.is_set():
            await self._kinds[kind]()
            self.done[kind] += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raises what any of the calls raised."""
        try:
            async with asyncio.TaskGroup() as group:
                for kind in self._kinds:
                    group.create_task(self._again_and_again(kind))
                yield
                self._over.set()
        finally:
            await self._channel.close()

    async def until_more(self) -> None:
        """Waits until one more of each kind has begun and ended."""
        before = Counter(self.done)
        async with asyncio.timeout(240):
            while any(self.done[kind] < before[kind] + 2 for kind in self._kinds):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)


async def sign_up(address: str) -> str:
    account = {"email": "somebody@example.com", "password": "a long password of hers"}
    async with (
        aiohttp.ClientSession(f"http://{address}") as session,
        session.post("/api/v2/identity/sign-up", json=account) as response,
    ):
        answer = json.loads(await response.read())
    return str(answer["tokens"]["access_token"])


@pytest.mark.timeout(600)
async def test_no_call_fails_and_no_stream_has_a_gap_while_every_process_is_restarted(parley: Parley) -> None:
    load = Load(parley.address, await sign_up(parley.address))
    async with load.running():
        await load.until_more()
        for turn in (0, 1):
            # One of each service at a time.
            await asyncio.gather(*(parley.restart(process) for process in parley.processes[turn::2]))
            await load.until_more()
    assert all(load.done.values())
