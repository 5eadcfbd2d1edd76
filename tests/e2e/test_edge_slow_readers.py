"""A reader who does not read, at a whole Parley: what he costs, what others notice, and how he goes on."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, turn_event_pb2
from parley_testing.doors import GrpcDoor
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.mesh import Mesh, SignedUp

PIECES = tuple(f"{number} " + "語" * 13_000 for number in range(75))
"""An answer of nearly a million characters, the longest there is, in three megabytes."""
ANSWER = "".join(PIECES)
HELD_MOST = 2_200_000
"""What may be on the way for who does not read: a megabyte at the edge, a quarter of one before it, and what was being written."""


@pytest.fixture(scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    async with FakeOpenAI(Reply(pieces=PIECES)) as upstream:
        environment = {
            "OPENAI_BASE_URL": upstream.base_url,
            "OPENAI_API_KEY": "sk-test",
            "PARLEY_INFERENCE_MODEL": "fake-model",
        }
        home = tmp_path_factory.mktemp("slow") / "home"
        mesh = await asyncio.to_thread(Mesh.start, home, environment)
        try:
            yield mesh
        finally:
            await asyncio.to_thread(mesh.stop)


def came_from_chat(mesh: Mesh) -> int:
    """How many bytes chat has sent to the edge."""
    host, _, port = mesh.address("edge_admin").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/stats?filter=^cluster\\.chat\\.upstream_cx_rx_bytes_total$")
        return int(connection.getresponse().read().rpartition(b":")[2])


def size_of(text: str) -> int:
    return len(text.encode())


async def read_on(call: Any, events: list[turn_event_pb2.TurnEvent]) -> None:
    """Reads what still comes. AioRpcError when the stream does not end well."""
    while (response := await call.read()) is not grpc.aio.EOF:
        events.append(response.event)


async def read_to_end(mesh: Mesh, user: SignedUp) -> str:
    """Has a message answered, and reads everything."""
    door = GrpcDoor(mesh.grpc_address, user.token)
    events = [event async for event in door.stream(pb.StreamReplyRequest(message="Go on."))]
    assert events[-1].WhichOneof("event") == "completed"
    return "".join(event.delta.text for event in events)


async def test_who_does_not_read_costs_little_slows_nobody_and_gets_everything_when_he_does(parley: Mesh) -> None:
    slow, other = await asyncio.to_thread(parley.sign_up), await asyncio.to_thread(parley.sign_up)
    before = await asyncio.to_thread(came_from_chat, parley)
    # The window of HTTP/2 that everybody has at first, and never a larger one.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(parley.grpc_address, options=options) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        call = stub.StreamReply(pb.StreamReplyRequest(message="Go on."), metadata=slow.metadata)
        events: list[turn_event_pb2.TurnEvent] = [(await call.read()).event]
        turn_id = events[0].turn_id
        # The turn itself waits for nobody.
        door = GrpcDoor(parley.grpc_address, slow.token)
        async for event in door.resume(turn_id):
            last = event
        assert last.WhichOneof("event") == "completed"
        assert (
            await asyncio.to_thread(came_from_chat, parley) - before
            < 2 * size_of(last.completed.message.text) + HELD_MOST
        )
        for text in await asyncio.gather(*(read_to_end(parley, other) for _ in range(3))):
            assert text == ANSWER
        # He wakes up: nothing was lost for him.
        await read_on(call, events)
        assert await call.code() is grpc.StatusCode.OK
    # Pieces that came while nobody read may have become one.
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    assert "".join(event.delta.text for event in events) == ANSWER
