"""What the edge does when there is too much of everything: connections, of one address and of all, and memory. A real Envoy at work."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley_edge.connection_counter import REFUSED
from parley_testing import raw_http2 as h2
from parley_testing.raw_http2 import RawHttp2, frame, grpc_headers, grpc_message
from parley_testing.small_edge import SmallEdge, running_edge

READ = "/parley.chat.v1.ChatService/ListSessions"
STREAM = "/parley.chat.v1.ChatService/StreamReply"
REST = "/api/v2/chat/sessions"
ACTIONS = "overload.envoy.overload_actions."
MEMORY = {"PARLEY_EDGE_MAX_HEAP_BYTES": str(64 * 1024 * 1024)}
"""About twice what the edge needs for itself."""


@dataclass
class Connection:
    """A plain connection to the edge."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def is_served(self) -> bool:
        """Whether a request is answered; not when the edge has closed the connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.writer.write(b"GET /healthz HTTP/1.1\r\nhost: parley\r\n\r\n")
            async with asyncio.timeout(60):
                # It has no body.
                answer = await self.reader.readuntil(b"\r\n\r\n")
            return answer.startswith(b"HTTP/1.1 200 OK\r\n")
        return False

    async def is_closed(self) -> bool:
        """Waits until the edge closes it; what it says until then is let go."""
        with suppress(ConnectionError):
            async with asyncio.timeout(120):
                while await self.reader.read(65_536):
                    pass
        return True


@asynccontextmanager
async def connected(edge: SmallEdge, source: str = "127.0.0.1") -> AsyncIterator[Connection]:
    """Connects from an address of this machine."""
    host, _, port = edge.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


async def is_answered(edge: SmallEdge) -> bool:
    """Whether a gRPC call is; it raises otherwise."""
    call: Any = edge.channel().unary_unary(READ)
    return bool(await call(b"", metadata=edge.token(), timeout=60) == b"")


async def until_served(edge: SmallEdge, source: str) -> None:
    """Waits until who connects from there is served."""
    async with asyncio.timeout(60):
        while True:
            async with connected(edge, source) as connection:
                if await connection.is_served():
                    return


async def test_who_connects_too_often_from_one_address_is_closed_and_others_are_served(tmp_path: Path) -> None:
    async with running_edge(tmp_path, PARLEY_EDGE_ADDRESS_CONNECTIONS="3") as edge, AsyncExitStack() as opened:
        first, *more = [await opened.enter_async_context(connected(edge, "127.0.0.2")) for _ in range(6)]
        assert [await each.is_served() for each in (first, *more)] == [True] * 3 + [False] * 3
        assert await edge.stats("wasmcustom") == {f"wasmcustom.{REFUSED}": 3}
        # Other addresses have their own, and the machine itself as many as it likes: the edge's own fetching of keys is among them.
        for source in ("127.0.0.3", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"):
            assert await (await opened.enter_async_context(connected(edge, source))).is_served()
        assert await more[0].is_served(), "those that are there stay"
        first.writer.close()
        await until_served(edge, "127.0.0.2")


async def test_connections_beyond_those_of_everybody_are_closed_and_the_edge_can_still_be_watched(
    tmp_path: Path,
) -> None:
    async with running_edge(tmp_path, PARLEY_EDGE_MAX_CONNECTIONS="8") as edge, AsyncExitStack() as opened:
        served: list[Connection] = []
        while True:
            connection = await opened.enter_async_context(connected(edge))
            if not await connection.is_served():
                break
            served.append(connection)
            assert len(served) <= 8
        # The edge itself may have one, to fetch keys.
        assert len(served) >= 6
        assert all([await each.is_served() for each in served])
        refused = await edge.stats("listener.*downstream_global_cx_overflow")
        assert sum(refused.values()) == 1
        served[0].writer.close()
        await until_served(edge, "127.0.0.1")


@asynccontextmanager
async def unread(edge: SmallEdge, messages: int, size: int, streams: int) -> AsyncIterator[RawHttp2]:
    """Asks for so many streams of so many messages each, on one connection, and reads the first 64 KiB of each."""

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        del request, context
        for _ in range(messages):
            yield b"x" * size

    edge.toy.streams[STREAM] = stream
    headers = grpc_headers(STREAM, ("authorization", edge.authorization("usr_slow")))
    async with await RawHttp2.open(edge.address) as slow:
        wide = struct.pack(">I", 2**30)
        calls = b"".join(
            frame(h2.HEADERS, h2.END_HEADERS, number, headers) + frame(h2.DATA, h2.END_STREAM, number, grpc_message())
            for number in range(1, 2 * streams, 2)
        )
        # All in one piece: they are all taken before the first answer fills the memory.
        await slow.send(frame(h2.WINDOW_UPDATE, 0, 0, wide) + calls)
        yield slow


async def test_without_memory_new_calls_are_refused_in_words_at_every_door_and_taken_again_when_there_is_some(
    tmp_path: Path,
) -> None:
    async with running_edge(tmp_path, **MEMORY) as edge, connected(edge) as idle:
        assert await idle.is_served()
        # Each holds too little to be let go for it.
        async with unread(edge, messages=1, size=500_000, streams=110) as slow:
            await edge.until_stat(f"{ACTIONS}stop_accepting_requests.active", bool)
            actions = ("shrink_heap", "reset_high_memory_stream", "reduce_timeouts")
            assert {(await edge.stats(f"{ACTIONS}{action}"))[f"{ACTIONS}{action}.active"] for action in actions} == {1}

            status, headers, body = await edge.request("GET", REST, headers={"authorization": edge.authorization()})
            error = json.loads(body)
            assert (status, headers["retry-after"], error["code"]) == (503, "1", 14)
            assert "no memory" in error["message"]
            assert error["details"][0]["reason"] == "ERROR_REASON_SERVICE_UNAVAILABLE"

            grpc_web = {"authorization": edge.authorization(), "content-type": "application/grpc-web+proto"}
            status, headers, _ = await edge.request("POST", READ, grpc_message(), grpc_web)
            assert (status, headers["retry-after"], headers["grpc-status"]) == (503, "1", "14")
            assert "no memory" in headers["grpc-message"]

            call: Any = edge.channel().unary_unary(READ)
            with pytest.raises(grpc.aio.AioRpcError, match="no memory") as refused:
                await call(b"", metadata=edge.token(), timeout=60)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE

            # Otherwise it would be closed after ten minutes.
            assert await idle.is_closed()
            assert not slow.reset, "who was being served still is"
        await edge.until_stat(f"{ACTIONS}stop_accepting_requests.active", lambda active: not active)
        assert await is_answered(edge)
        status, _, _ = await edge.request("GET", REST, headers={"authorization": edge.authorization()})
        assert status == 200


async def test_who_holds_most_memory_loses_it_and_who_holds_little_does_not(tmp_path: Path) -> None:
    async with running_edge(tmp_path, **MEMORY) as edge, unread(edge, messages=1, size=400_000, streams=1) as modest:
        await modest.until(lambda: modest.data[1] == 65_535)
        async with unread(edge, messages=100, size=500_000, streams=40) as greedy:
            await greedy.until(lambda: bool(greedy.reset))
            assert not modest.ended
        await edge.until_stat(f"{ACTIONS}stop_accepting_requests.active", lambda active: not active)
        assert await is_answered(edge)
        await modest.send(frame(h2.WINDOW_UPDATE, 0, 1, struct.pack(">I", 2**30)))
        await modest.until(lambda: 1 in modest.ended)
        assert (modest.data[1], modest.reset) == (400_005, {})
