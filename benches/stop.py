"""`make bench-stop`: how long after a stop was sent the provider's connection is closed, through each way to stop. Asserts nothing.

The provider is in this process, so that both ends of each measurement are read from one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import grpc
from endless_provider import EndlessProvider
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, message_pb2
from parley_testing.postgres import running_postgres
from parley_testing.redis_server import running_redis
from parley_testing.tools import find_tool
from running import ROOT, BenchError, RunningParley, parley

RESULT = ROOT / ".build" / "bench" / "stop.json"
TOKENS_PER_SECOND = 50
WORDS_BEFORE = 3
"""How many words a reader has when it stops the turn."""
GOAL_MS = 100
CLOSED_SECONDS = 30.0
NEEDED = ("postgres", "redis-server")

if TYPE_CHECKING:
    # Only for types: there is no such class when it runs.
    Stub = chat_service_pb2_grpc.ChatServiceAsyncStub
Stream: TypeAlias = "grpc.aio.UnaryStreamCall[pb.StreamReplyRequest, pb.StreamReplyResponse]"
Stop: TypeAlias = Callable[[Stream, str], Awaitable[None]]
"""Stops a turn, of which the open stream and the id are given. Returns with the receipt, where there is one."""


@dataclass(frozen=True)
class Way:
    """One way to stop."""

    stub: Stub
    """Through which the turn is begun and read."""
    stop: Stop
    detach: bool = True


@dataclass(frozen=True)
class Sample:
    """One stop, in seconds from the moment at which it was sent."""

    closed: float
    """Until the provider saw its connection closed."""
    answered: float
    """Until the stop returned: with the receipt, or at once for a cancelled call."""


@dataclass(frozen=True)
class Figures:
    """The stops of one way, in milliseconds."""

    stops: int
    closed_median: float
    closed_p95: float
    closed_most: float
    answered_median: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Figures:
        """Of at least two samples."""
        closed = [1000 * sample.closed for sample in samples]
        return cls(
            stops=len(samples),
            closed_median=statistics.median(closed),
            closed_p95=statistics.quantiles(closed, n=20, method="inclusive")[-1],
            closed_most=max(closed),
            answered_median=statistics.median(1000 * sample.answered for sample in samples),
        )


async def one_stop(way: Way, provider: EndlessProvider, token: str) -> Sample:
    """Begins a turn, reads a few words, stops it, and waits until the provider is alone."""
    request = pb.StreamReplyRequest(message="Go on for ever.", route=message_pb2.ROUTE_STANDARD, detach=way.detach)
    call: Stream = way.stub.StreamReply(request, metadata=_metadata(token))
    words, turn_id = 0, ""
    while words < WORDS_BEFORE:
        response = await call.read()
        if not isinstance(response, pb.StreamReplyResponse):
            raise BenchError(f"the turn ended before it was stopped: {await call.code()} {await call.details()}")
        turn_id = response.event.turn_id
        words += response.event.HasField("delta")
    # Anywhere between two words, as people do.
    await asyncio.sleep(random.random() / TOKENS_PER_SECOND)
    closed = provider.next_close()
    sent = time.perf_counter()
    await way.stop(call, turn_id)
    answered = time.perf_counter()
    async with asyncio.timeout(CLOSED_SECONDS):
        closed_at = await closed
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        while await call.read() is not grpc.aio.EOF:
            pass
    return Sample(closed_at - sent, answered - sent)


def through_grpc(stub: Stub, token: str) -> Stop:
    """StopReply."""

    async def stop(_: Stream, turn_id: str) -> None:
        await stub.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=_metadata(token))

    return stop


def through_rest(session: aiohttp.ClientSession, url: str, token: str) -> Stop:
    """`POST /api/v2/chat/turns/{turn_id}:stop`."""

    async def stop(_: Stream, turn_id: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        async with session.post(f"{url}/api/v2/chat/turns/{turn_id}:stop", json={}, headers=headers) as response:
            if response.status != 200:
                raise BenchError(f"stop: {response.status} {await response.text()}")
            await response.read()

    return stop


async def cancel(call: Stream, _: str) -> None:
    """Cancels the call of a turn that was sent with `detach` false."""
    call.cancel()


@contextlib.asynccontextmanager
async def stub_at(address: str) -> AsyncIterator[Stub]:
    """One channel for all stops of a way: none of them makes a connection first."""
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield chat_service_pb2_grpc.ChatServiceStub(channel)


@contextlib.asynccontextmanager
async def one_process(running: RunningParley, token: str) -> AsyncIterator[dict[str, Way]]:
    """The ways into a Parley on its embedded defaults."""
    async with stub_at(running.url.removeprefix("http://")) as stub, aiohttp.ClientSession() as session:
        yield {
            "gRPC": Way(stub, through_grpc(stub, token)),
            "REST": Way(stub, through_rest(session, running.url, token)),
            "gRPC cancel, detach=false": Way(stub, cancel, detach=False),
        }


@contextlib.asynccontextmanager
async def two_replicas(running: RunningParley, token: str) -> AsyncIterator[dict[str, Way]]:
    """The way through the replica that does not write the turn. Both are called past the edge, which would choose one itself."""
    addresses = json.loads((running.home / "ready.json").read_text(encoding="utf-8"))["addresses"]
    async with stub_at(addresses["chat"]) as writing, stub_at(addresses["chat-2"]) as other:
        yield {"gRPC, the other replica": Way(writing, through_grpc(other, token))}


async def measure(running: Mapping[str, RunningParley], provider: EndlessProvider, rounds: int) -> dict[str, Figures]:
    """Interleaved rounds: what disturbs the machine disturbs all ways alike. The first three do not count."""
    samples: dict[str, list[Sample]] = {}
    async with contextlib.AsyncExitStack() as stack:
        tokens = {name: await asyncio.to_thread(one.token) for name, one in running.items()}
        ways: dict[str, tuple[Way, str]] = {}
        for name, one in running.items():
            open_ways = one_process if name == "one process" else two_replicas
            opened = await stack.enter_async_context(open_ways(one, tokens[name]))
            ways |= {way_name: (way, tokens[name]) for way_name, way in opened.items()}
        for number in range(-3, rounds):
            for name, (way, token) in ways.items():
                sample = await one_stop(way, provider, token)
                if number >= 0:
                    samples.setdefault(name, []).append(sample)
    return {name: Figures.of(values) for name, values in samples.items()}


async def run(folder: Path, rounds: int) -> dict[str, Figures]:
    """Starts what is measured, and measures."""
    async with EndlessProvider(TOKENS_PER_SECOND) as provider:
        variables = {
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_KEY": "bench",
            "PARLEY_INFERENCE_MODEL": "endless",
            "PARLEY_EDGE_USER_CALLS_PER_SECOND": "10000",
            "PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND": "10000",
            "PARLEY_RETRIEVAL_SAMPLE_CORPUS": "",
        }
        with contextlib.ExitStack() as stack:
            running = {}

            def start(name: str, more: Mapping[str, str]) -> None:
                print(f"starting {name} …", flush=True)
                running[name] = stack.enter_context(parley(folder / name.replace(" ", "-"), variables | dict(more)))

            await asyncio.to_thread(start, "one process", {})
            missing = [tool for tool in NEEDED if find_tool(tool) is None]
            if missing:
                print(f"two replicas are not measured: {', '.join(missing)} is not installed")
            else:
                shared = {
                    "PARLEY_UP_CHAT_REPLICAS": "2",
                    "PARLEY_CHAT_DATABASE_URL": stack.enter_context(running_postgres()).new_database_url(),
                    "PARLEY_CHAT_REDIS_URL": stack.enter_context(running_redis()).new_url(),
                }
                await asyncio.to_thread(start, "two replicas", shared)
            print(f"stopping turns, {rounds} rounds …", flush=True)
            try:
                return await measure(running, provider, rounds)
            except (grpc.aio.AioRpcError, aiohttp.ClientError, TimeoutError) as error:
                words = "".join(one.last_words() for one in running.values())
                raise BenchError(f"{error!r}\n{words}") from error


def report(figures: Mapping[str, Figures]) -> str:
    """The table that is printed."""
    lines = [
        "",
        f"{'provider closed after the stop was sent':<40}{'median ms':>10}{'p95 ms':>10}{'max ms':>10}{'answered':>10}",
    ]
    lines += [
        f"{name:<40}{one.closed_median:>10.1f}{one.closed_p95:>10.1f}{one.closed_most:>10.1f}{one.answered_median:>10.1f}"
        for name, one in figures.items()
    ]
    stops = min(one.stops for one in figures.values())
    lines += [
        "",
        f"{stops} stops through each way, interleaved, one at a time, on {_machine()}. Goal: {GOAL_MS} ms in the median.",
        f"The figures are in {RESULT.relative_to(ROOT)}.",
    ]
    return "\n".join(lines)


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def main() -> int:
    """Measures, prints and writes the figures. 1 when something did not start."""
    parser = argparse.ArgumentParser(description="How long after a stop the provider's connection is closed.")
    parser.add_argument("--rounds", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        try:
            figures = asyncio.run(run(Path(folder), arguments.rounds))
        except BenchError as error:
            print(error, file=sys.stderr)
            return 1
    print(report(figures))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": _machine(), "stop_ms": {name: asdict(one) for name, one in figures.items()}}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
