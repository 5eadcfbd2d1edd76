"""What callers without manners get from the edge, and that others are served meanwhile.

A real Envoy, with the configuration that everybody gets and limits that a test reaches soon, and a toy behind it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from parley_testing import raw_http2 as h2
from parley_testing.raw_http2 import RawHttp2, frame, grpc_headers, grpc_message, header_block
from parley_testing.small_edge import SmallEdge, running_edge

OPEN_READ = "/parley.system.v1.SystemService/GetHealth"
READ = "/parley.chat.v1.ChatService/ListSessions"
STREAM = "/parley.chat.v1.ChatService/StreamReply"
PAGE = "http://localhost:5173"
MANY = 60


@pytest.fixture(scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallEdge]:
    """With limits of connections that are soon reached, and none of calls."""
    async with running_edge(
        tmp_path_factory.mktemp("limits"),
        PARLEY_EDGE_MAX_STREAMS_PER_CONNECTION="20",
        PARLEY_EDGE_MAX_RESETS="50",
        PARLEY_EDGE_MAX_HEADERS="40",
        PARLEY_EDGE_USER_CALLS_PER_SECOND="1000000",
        PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND="1000000",
    ) as running:
        yield running


@pytest.fixture(scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallEdge]:
    """Waits for nobody longer than two seconds. Only for callers who do not mean to be served."""
    async with running_edge(
        tmp_path_factory.mktemp("impatient"),
        PARLEY_EDGE_HEADERS_SECONDS="1",
        PARLEY_EDGE_REQUEST_SECONDS="2",
        PARLEY_EDGE_IDLE_CONNECTION_SECONDS="2",
    ) as running:
        yield running


@pytest.fixture(scope="module", params=["USER", "ADDRESS"])
async def strict(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[SmallEdge]:
    """Takes one call a second, of a user or of an address."""
    settings = {f"PARLEY_EDGE_{request.param}_CALLS_PER_SECOND": "1", "PARLEY_EDGE_ALLOWED_ORIGINS": PAGE}
    async with running_edge(tmp_path_factory.mktemp("strict"), **settings) as running:
        yield running


@asynccontextmanager
async def somebody_served(edge: SmallEdge) -> AsyncIterator[None]:
    """Somebody else calls all the while, and is answered every time."""
    call: Any = edge.channel().unary_unary(READ)
    over = asyncio.Event()
    answered = 0

    async def calls() -> None:
        nonlocal answered
        while not over.is_set() or not answered:
            await call(b"", metadata=edge.token("usr_polite"), timeout=60)
            answered += 1

    calling = asyncio.create_task(calls())
    try:
        yield
    finally:
        over.set()
        await calling
    await call(b"", metadata=edge.token("usr_polite"), timeout=60)


def _rapid_resets(edge: SmallEdge, number: int) -> bytes:
    """CVE-2023-44487: asks, and takes it back at once."""
    del edge
    streams = range(1 + 200 * number, 1 + 200 * (number + 1), 2)
    reset = struct.pack(">I", h2.CANCEL)
    return b"".join(
        frame(h2.HEADERS, h2.END_HEADERS, stream, grpc_headers(OPEN_READ)) + frame(h2.RST_STREAM, 0, stream, reset)
        for stream in streams
    )


def _more_headers(edge: SmallEdge, number: int) -> bytes:
    """CVE-2024-27316: headers that never end."""
    del edge
    begun = frame(h2.HEADERS, 0, 1, grpc_headers(OPEN_READ)) if number == 0 else b""
    more = [(f"x-{number}-{each}", "x" * 500) for each in range(20)]
    return begun + b"".join(frame(h2.CONTINUATION, 0, 1, header_block([header])) for header in more)


def _begun(edge: SmallEdge, number: int) -> bytes:
    """A call that is open for as long as its message does not come."""
    if number:
        return b""
    return frame(h2.HEADERS, h2.END_HEADERS, 1, grpc_headers(READ, ("authorization", edge.authorization())))


def _too_many_streams(edge: SmallEdge, number: int) -> bytes:
    del edge
    streams = range(1 + 200 * number, 1 + 200 * (number + 1), 2)
    return b"".join(frame(h2.HEADERS, h2.END_HEADERS, stream, grpc_headers(OPEN_READ)) for stream in streams)


FLOODS: Mapping[str, Callable[[SmallEdge, int], bytes]] = {
    "rapid resets": _rapid_resets,
    "headers that never end": _more_headers,
    "pings": lambda _, number: frame(h2.PING, 0, 0, struct.pack(">Q", number)) * 5000,
    "settings": lambda _, number: frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 3, 100 + number)) * 5000,
    "empty data": lambda edge, number: _begun(edge, number) + frame(h2.DATA, 0, 1) * 100,
    "windows": lambda edge, number: _begun(edge, number) + frame(h2.WINDOW_UPDATE, 0, 1, struct.pack(">I", 1)) * 1000,
    "priorities": lambda _edge, _number: frame(h2.PRIORITY, 0, 1, struct.pack(">IB", 0, 1)) * 1000,
    "streams": _too_many_streams,
}
"""What is sent of each flood, by the number of the time."""


COUNTED: Mapping[str, str] = {
    "rapid resets": "http.edge.downstream_rq_too_many_premature_resets",
    "headers that never end": "http2.header_overflow",
    "empty data": "http2.inbound_empty_frames_flood",
    "windows": "http2.inbound_window_update_frames_flood",
    "priorities": "http2.inbound_priority_frames_flood",
}
"""What Envoy counts of those that its own limits end; the library that reads frames ends the others."""


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_ends_with_its_connection_and_others_are_served_meanwhile(edge: SmallEdge, flood: str) -> None:
    counted = (await edge.stats(COUNTED[flood])).get(COUNTED[flood], 0) if flood in COUNTED else 0
    async with somebody_served(edge), await RawHttp2.open(edge.address) as attacker:
        for number in range(100):
            if attacker.closed:
                break
            await attacker.send(FLOODS[flood](edge, number))
        await attacker.until(lambda: attacker.closed)
    if flood in COUNTED:
        await edge.until_stat(COUNTED[flood], lambda count: count > counted)


async def test_calls_beyond_those_of_a_connection_wait_for_their_turn(edge: SmallEdge) -> None:
    running, most = 0, 0
    enough = asyncio.Event()

    async def answer(request: bytes, context: Any) -> bytes:
        nonlocal running, most
        del request, context
        running += 1
        most = max(most, running)
        if running == 20:
            enough.set()
        await enough.wait()
        await asyncio.sleep(0)
        running -= 1
        return b""

    path = "/parley.chat.v1.ChatService/GetSession"
    edge.toy.answers[path] = answer
    call: Any = edge.channel().unary_unary(path)
    await asyncio.gather(*(call(b"", metadata=edge.token(), timeout=60) for _ in range(MANY)))
    assert most == 20


async def test_who_does_not_read_costs_little_and_gets_everything_when_he_does(edge: SmallEdge) -> None:
    message, count = b"x" * 65_536, 512
    written = 0

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        nonlocal written
        del request, context
        for _ in range(count):
            yield message
            written += 1

    edge.toy.streams[STREAM] = stream
    headers = grpc_headers(STREAM, ("authorization", edge.authorization()))
    async with await RawHttp2.open(edge.address) as slow:
        await slow.send(
            frame(h2.HEADERS, h2.END_HEADERS, 1, headers) + frame(h2.DATA, h2.END_STREAM, 1, grpc_message())
        )
        # The window that everybody has at first.
        await slow.until(lambda: slow.data[1] == 65_535)
        async with somebody_served(edge):
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.5)
        assert written < count // 4, "it is held for a caller who does not read"
        wide = struct.pack(">I", 2**30)
        await slow.send(frame(h2.WINDOW_UPDATE, 0, 0, wide) + frame(h2.WINDOW_UPDATE, 0, 1, wide))
        await slow.until(lambda: 1 in slow.ended)
        assert slow.data[1] == count * (len(message) + 5)
        assert not slow.reset


@pytest.mark.parametrize("headers", [{f"x-{number}": "x" for number in range(60)}, {"x-long": "x" * 40_000}])
async def test_too_many_headers_or_too_long_ones_are_431_in_json(edge: SmallEdge, headers: dict[str, str]) -> None:
    status, received, body = await edge.request("GET", "/api/v2/chat/sessions", headers=headers)
    error = json.loads(body)
    assert (status, received["content-type"], error["code"]) == (431, "application/json", 8)
    assert error["details"][0]["reason"] == "ERROR_REASON_LIMIT_EXCEEDED"
    async with await RawHttp2.open(edge.address) as caller:
        block = grpc_headers(OPEN_READ, *headers.items())
        parts = [block[place : place + 16_000] for place in range(0, len(block), 16_000)]
        frames = [frame(h2.HEADERS, h2.END_STREAM, 1, parts[0])]
        frames += [frame(h2.CONTINUATION, 0, 1, part) for part in parts[1:]]
        await caller.send(b"".join(frames) + frame(h2.CONTINUATION, h2.END_HEADERS, 1))
        await caller.until(lambda: caller.closed or 1 in caller.reset)


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: parley\r\nx-sl", b"HTTP/1.1 408 "),
        (b"POST /api/v2/chat/send HTTP/1.1\r\nhost: parley\r\ncontent-length: 1000\r\n\r\n{", b"HTTP/1.1 408 "),
        (b"", b""),
    ],
    ids=["headers", "body", "nothing"],
)
async def test_a_request_that_trickles_is_given_up(impatient: SmallEdge, begun: bytes, answer: bytes) -> None:
    host, _, port = impatient.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(begun)
        async with asyncio.timeout(60):
            told = await reader.read()
    finally:
        writer.transport.abort()
    assert told[: len(answer)] == answer
    assert not told if not answer else json.loads(told.partition(b"\r\n\r\n")[2])["code"] == 4


async def test_a_call_that_trickles_over_http2_is_given_up_however_steadily_it_does(impatient: SmallEdge) -> None:
    async with await RawHttp2.open(impatient.address) as slow:
        headers = grpc_headers(STREAM, ("authorization", impatient.authorization()))
        # One whose headers never end, one whose body never does.
        await slow.send(frame(h2.HEADERS, h2.END_HEADERS, 1, headers))
        async with asyncio.timeout(60):
            while 1 not in slow.ended:
                await slow.send(frame(h2.DATA, 0, 1, b"\0"))
                await asyncio.sleep(0.1)
        await slow.send(frame(h2.HEADERS, 0, 3, grpc_headers(OPEN_READ)))
        await slow.until(lambda: slow.closed or 3 in slow.ended)


def assert_says_when_to_come_back(details: bytes, retry_after: str) -> None:
    """The status that a service would send: LIMIT_EXCEEDED, and the seconds of the header."""
    status, info, retry = (
        status_pb2.Status.FromString(details),
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
    )
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, len(info.metadata["trace_id"])) == ("ERROR_REASON_LIMIT_EXCEEDED", "parley", 32)
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.seconds == int(retry_after) >= 1


async def test_who_calls_too_often_is_told_when_to_come_back_over_grpc(strict: SmallEdge) -> None:
    call: Any = strict.channel().unary_unary(READ)
    calls = (call(b"", metadata=strict.token(), timeout=60) for _ in range(MANY))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [error for error in ended if isinstance(error, grpc.aio.AioRpcError)]
    assert refused
    assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    trailing = dict(refused[-1].trailing_metadata() or ())
    assert_says_when_to_come_back(trailing["grpc-status-details-bin"], trailing["retry-after"])


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/api/v2/chat/send", "application/json", b"{}"),
        ("/openai/v1/embeddings", "application/json", b"{}"),
        (READ, "application/grpc-web+proto", grpc_message()),
    ],
    ids=["REST", "OpenAI", "gRPC-web"],
)
async def test_who_calls_too_often_is_told_when_to_come_back_at_every_door(
    strict: SmallEdge, path: str, content_type: str, body: bytes
) -> None:
    headers = {"authorization": strict.authorization(), "content-type": content_type, "origin": PAGE}
    async with aiohttp.ClientSession(f"http://{strict.address}", headers=headers) as session:

        async def call() -> tuple[int, Mapping[str, str], bytes]:
            async with session.post(path, data=body) as response:
                return response.status, response.headers, await response.read()

        ended = await asyncio.gather(*(call() for _ in range(MANY)))
    refused = [(headers, body) for status, headers, body in ended if status == 429]
    assert refused
    received, told = refused[-1]
    # A page of another origin can read all of it.
    assert received["access-control-allow-origin"] == PAGE
    exposed = received["access-control-expose-headers"].split(",")
    assert {"retry-after", "grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed)
    if content_type != "application/json":
        assert received["grpc-status"] == "8"
        details = base64.b64decode(received["grpc-status-details-bin"])
        assert_says_when_to_come_back(details, received["retry-after"])
    elif path.startswith("/openai/"):
        error = json.loads(told)["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "limit_exceeded")
    else:
        error = json.loads(told)
        assert error["code"] == 8
        assert error["details"][1]["retryDelay"] == f"{received['retry-after']}s"
    assert int(received["retry-after"]) >= 1


async def test_the_calls_of_an_address_are_counted_without_a_token_too_and_other_addresses_are_served(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with running_edge(
        tmp_path_factory.mktemp("address"),
        PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND="1",
        # So the caller may say where a call comes from.
        PARLEY_EDGE_TRUSTED_HOPS="1",
    ) as edge:

        async def statuses(path: str, address: str, count: int) -> set[int]:
            async with aiohttp.ClientSession(f"http://{edge.address}") as session:

                async def call() -> int:
                    async with session.get(path, headers={"x-forwarded-for": address}) as response:
                        return response.status

                return set(await asyncio.gather(*(call() for _ in range(count))))

        for number, (path, answer) in enumerate(
            {"/health": 200, "/api/v2/chat/sessions": 401, "/no-page": 404}.items()
        ):
            assert await statuses(path, f"203.0.113.{number}", MANY) == {answer, 429}
            assert await statuses(path, f"198.51.100.{number}", 1) == {answer}
        # Whoever floods from the edge's own address does not keep the keys of tokens from it.
        assert await statuses("/health", "203.0.113.9", MANY) == {200, 429}
        assert await statuses("/.well-known/jwks.json", "203.0.113.9", 1) == {200}
