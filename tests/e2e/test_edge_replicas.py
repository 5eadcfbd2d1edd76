"""Several replicas of chat behind the edge: no call is lost to one that is gone, and none is made twice.

Real Envoy, with the configuration that everybody gets. The replicas are toys that count their calls, so that a call made twice is seen.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from parley_edge import process as envoy
from parley_edge.rendering import render
from parley_edge.settings import EdgeSettings
from parley_shared.settings import Environment

WRITE = "/parley.identity.v1.IdentityService/SignOut"
"""Needs no token, and the contract does not call it a read."""
READ = "/parley.system.v1.SystemService/GetHealth"
HOLD = b"hold"
"""The request of a call that runs until its replica lets go."""
HEALTH = "/grpc.health.v1.Health/Check"


class Replica(grpc.GenericRpcHandler):
    """Answers every call, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.port = 0
        self.serving = True
        self.hangs = False
        """Whether it takes what is asked of it, its health included, and answers nothing."""
        self.refuses_with: grpc.StatusCode | None = None
        self.refused: set[bytes] | None = None
        """The requests that were refused once, and are held the next time; None to refuse none."""
        self.let_go = asyncio.Event()
        self._server: Any = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def service(self, handler_call_details: Any) -> Any:
        counted = {HEALTH: self._check, WRITE: self._call, READ: self._call}
        # The edge's own fetching of keys is none of a test's calls.
        return grpc.unary_unary_rpc_method_handler(counted.get(handler_call_details.method, _nothing))

    async def start(self) -> None:
        """Listens; at the same port as before, when it was stopped."""
        self.let_go = asyncio.Event()
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self, grace: float | None = None) -> None:
        """Listens no more; running calls are cut when the grace is over."""
        await self._server.stop(grace)

    async def _check(self, request: bytes, context: Any) -> bytes:
        del request, context
        await self._hang()
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if self.serving else states.NOT_SERVING
        return states(status=state).SerializeToString()

    async def _call(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        await self._hang()
        if self.refused is not None and request not in self.refused:
            self.refused.add(request)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if request == HOLD or self.refused is not None:
            await self.let_go.wait()
        if self.refuses_with:
            await context.abort(self.refuses_with, "not now")
        return b""

    async def _hang(self) -> None:
        while self.hangs:  # noqa: ASYNC110 - a test says when it ends
            await asyncio.sleep(0.01)


async def _nothing(request: bytes, context: Any) -> bytes:
    del request, context
    return b""


class Edge:
    """A running Envoy with two replicas behind it."""

    def __init__(self, port: int, admin_port: int, replicas: list[Replica]) -> None:
        self.replicas = replicas
        self._admin_port = admin_port
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)])

    async def codes(self, count: int, method: str = WRITE, request: bytes = b"") -> Counter[str]:
        """Makes so many calls at once, and says how they ended."""

        call: Any = self.channel.unary_unary(method)

        async def one() -> str:
            try:
                await call(request, timeout=30)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        return Counter(await asyncio.gather(*(one() for _ in range(count))))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what others count has no event
                await asyncio.sleep(0.005)

    async def until_knows(self, replica: Replica, *, healthy: bool = True) -> None:
        """Waits until Envoy holds the replica for healthy, or not."""
        line = f"chat::{replica.address}::health_flags::healthy"
        async with asyncio.timeout(30):
            while (line in await asyncio.to_thread(self._clusters)) is not healthy:  # noqa: ASYNC110 - Envoy tells nobody
                await asyncio.sleep(0.01)

    async def warm_up(self) -> None:
        """Until there is a connection to each replica."""
        async with asyncio.timeout(30):
            while not all(replica.calls for replica in self.replicas):
                await self.codes(1)

    async def ejections(self) -> list[str]:
        """What Envoy has counted of replicas of chat that it took out for what calls to them did."""
        return [
            line
            for line in await asyncio.to_thread(self._ask, "/stats")
            if "cluster.chat.outlier_detection.ejections_enforced" in line
        ]

    def _clusters(self) -> list[str]:
        return self._ask("/clusters")

    def _ask(self, path: str) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._admin_port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode().splitlines()
        except OSError:
            return []
        finally:
            connection.close()


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(server.getsockname()[1]) for server in servers]
    finally:
        for server in servers:
            server.close()


@asynccontextmanager
async def running_edge(folder: Path, replicas: list[Replica]) -> AsyncIterator[Edge]:
    async with AsyncExitStack() as closing:
        for replica in replicas:
            await replica.start()
            closing.push_async_callback(replica.stop)
        port, admin_port = free_ports(2)
        settings = {
            "PARLEY_EDGE_PORT": str(port),
            "PARLEY_EDGE_ADMIN_PORT": str(admin_port),
            "PARLEY_CHAT_ADDRESS": ",".join(replica.address for replica in replicas),
            "PARLEY_EDGE_ACCESS_LOG": "/dev/null",
            "PARLEY_EDGE_SIGN_INS_PER_MINUTE": "1000000",
            "PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND": "1000000",
        }
        configuration = folder / "envoy.yaml"
        configuration.write_text(render(EdgeSettings.read(Environment(settings))))
        process = await asyncio.create_subprocess_exec(*envoy.command(configuration))
        closing.push_async_callback(process.wait)
        closing.callback(process.kill)
        edge = Edge(port, admin_port, replicas)
        closing.push_async_callback(edge.channel.close)
        for replica in replicas:
            await edge.until_knows(replica)
        await edge.warm_up()
        yield edge


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with running_edge(tmp_path, [Replica(), Replica()]) as running:
        yield running


async def test_long_calls_are_spread_evenly(edge: Edge) -> None:
    one, other = edge.replicas
    before = one.calls, other.calls
    held = [asyncio.create_task(edge.codes(1, WRITE, HOLD)) for _ in range(20)]
    await edge.until(lambda: one.calls + other.calls == sum(before) + 20)
    # The edge's own fetching of keys may be under way at one of them.
    assert min(one.calls - before[0], other.calls - before[1]) >= 8
    for replica in edge.replicas:
        replica.let_go.set()
    assert sum(await asyncio.gather(*held), Counter()) == {"OK": 20}


@pytest.mark.parametrize("method", [WRITE, READ])
@pytest.mark.parametrize("at_once", [1, 50])
async def test_a_dead_replica_costs_no_call_however_busy_the_other_is(edge: Edge, method: str, at_once: int) -> None:
    dead, alive = edge.replicas
    held = [asyncio.create_task(edge.codes(1, WRITE, HOLD)) for _ in range(20)]
    start = dead.calls + alive.calls
    await edge.until(lambda: dead.calls + alive.calls >= start + 20)
    await dead.stop()
    # Nobody has told the edge yet, and the dead one has the fewest running calls.
    before = dead.calls, alive.calls
    assert sum([await edge.codes(at_once, method) for _ in range(5)], Counter()) == {"OK": 5 * at_once}
    assert (dead.calls, alive.calls) == (before[0], before[1] + 5 * at_once), "each was made once"
    await edge.until_knows(dead, healthy=False)
    await dead.start()
    await edge.until_knows(dead)
    count = dead.calls
    async with asyncio.timeout(30):
        while dead.calls == count:
            assert await edge.codes(1, method) == {"OK": 1}
    alive.let_go.set()
    await asyncio.gather(*held)


async def test_a_call_that_reached_a_replica_that_died_is_not_made_again(edge: Edge) -> None:
    one, other = edge.replicas
    before = one.calls + other.calls
    held = [asyncio.create_task(edge.codes(1, WRITE, HOLD)) for _ in range(10)]
    await edge.until(lambda: one.calls + other.calls == before + 10)
    for replica in edge.replicas:
        await replica.stop()
    ended = sum(await asyncio.gather(*held), Counter())
    assert ended["OK"] == 0
    assert one.calls + other.calls == before + 10


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_what_a_replica_refuses_is_asked_of_another_only_when_it_is_a_read(
    edge: Edge, code: grpc.StatusCode
) -> None:
    """CANCELLED is what gRPC's servers say to what came in the instant in which they began to drain."""
    for replica in edge.replicas:
        replica.refuses_with = code
    before = sum(replica.calls for replica in edge.replicas)
    assert await edge.codes(20, WRITE) == {code.name: 20}
    assert sum(replica.calls for replica in edge.replicas) == before + 20
    edge.replicas[0].refuses_with = None
    # The one that answers takes long, the other refuses at once: it is always the less busy one.
    edge.replicas[1].let_go.set()
    count = edge.replicas[0].calls
    held = asyncio.create_task(edge.codes(20, READ, HOLD))
    await edge.until(lambda: edge.replicas[0].calls == count + 20)
    assert sum([await edge.codes(20, READ) for _ in range(10)], Counter()) == {"OK": 200}
    edge.replicas[0].let_go.set()
    assert await held == {"OK": 20}


async def test_what_an_application_answers_takes_no_replica_out(edge: Edge) -> None:
    before = await edge.ejections()
    assert before, "Envoy counts them"
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            for replica in edge.replicas:
                replica.refuses_with = code
            assert await edge.codes(20, WRITE) == {code.name: 20}
    assert await edge.ejections() == before
    for replica in edge.replicas:
        replica.refuses_with = None
    for replica in edge.replicas:
        count = replica.calls
        async with asyncio.timeout(30):
            while replica.calls == count:
                assert await edge.codes(1) == {"OK": 1}


async def test_a_service_that_fails_is_asked_again_by_some_and_not_by_all(edge: Edge) -> None:
    refused: set[bytes] = set()
    for replica in edge.replicas:
        replica.refused = refused
    before = sum(replica.calls for replica in edge.replicas)
    calls = [asyncio.create_task(edge.codes(1, READ, b"%d" % number)) for number in range(300)]
    # 128 second attempts are under way, and are held there; the others have been told.
    await edge.until(lambda: sum(replica.calls for replica in edge.replicas) >= before + 300 + 128)
    await edge.until(lambda: sum(call.done() for call in calls) == 300 - 128)
    assert len(refused) == 300
    for replica in edge.replicas:
        replica.let_go.set()
    assert sum(await asyncio.gather(*calls), Counter()) == {"OK": 128, "UNAVAILABLE": 300 - 128}


async def test_a_replica_that_drains_gets_no_more_calls_and_no_call_is_lost(edge: Edge) -> None:
    draining, other = edge.replicas
    held = asyncio.create_task(edge.codes(20, WRITE, HOLD))
    start = draining.calls + other.calls
    await edge.until(lambda: draining.calls + other.calls >= start + 20)
    draining.serving = False
    stopping = asyncio.create_task(draining.stop(60))
    before = draining.calls + other.calls
    ended = sum([await edge.codes(20) for _ in range(10)], Counter())
    assert ended == {"OK": 200}
    assert draining.calls + other.calls == before + 200, "each was made once"
    await edge.until_knows(draining, healthy=False)
    count = draining.calls
    assert await edge.codes(50) == {"OK": 50}
    assert draining.calls == count
    for replica in edge.replicas:
        replica.let_go.set()
    # What ran there has run to its end.
    assert await held == {"OK": 20}
    await stopping


async def test_a_replica_that_comes_and_goes_costs_no_call(edge: Edge) -> None:
    flapping, _ = edge.replicas
    for _ in range(3):
        for serving in (False, True):
            flapping.serving = serving
            # Before the edge knows, while it learns, and after.
            assert sum([await edge.codes(20) for _ in range(5)], Counter()) == {"OK": 100}
            await edge.until_knows(flapping, healthy=serving)
            assert await edge.codes(20) == {"OK": 20}


async def test_a_replica_that_hangs_gets_no_more_calls_until_it_answers_again(edge: Edge) -> None:
    slow, _ = edge.replicas
    slow.hangs = True
    await edge.until_knows(slow, healthy=False)
    count = slow.calls
    assert await edge.codes(50) == {"OK": 50}
    assert slow.calls == count
    slow.hangs = False
    await edge.until_knows(slow)
    async with asyncio.timeout(30):
        while slow.calls == count:
            assert await edge.codes(1) == {"OK": 1}
