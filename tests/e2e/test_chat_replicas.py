"""Two replicas of chat behind the edge, on one PostgreSQL and one Redis: whichever is asked, it is one Parley.

Real processes; the fixtures are the conftest's. The upstream, `counted`, writes numbered words for some
seconds and counts what it is asked.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_testing.doors import GrpcDoor, RefusedError
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words
from parley_testing.mesh import Mesh, SignedUp, replicas_of_chat
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer

WORDS = 200
TEXT = "".join(numbered_words(WORDS))
WAYS = ("chat", "chat-2", "edge")
"""Straight at each replica, and through the edge."""
STALLED = Reply(pieces=numbered_words(WORDS), tokens_per_second=80, stall_after=100)
"""Writes half of it and then waits to be left: what is to happen in the middle of an answer happens there, however slow the machine."""
CUT = {1, 14}
"""CANCELLED and UNAVAILABLE: how a stream breaks off whose server goes away, gently or not."""
ENDS = {"completed", "failed", "stopped"}

Events = list[turn_event_pb2.TurnEvent]


@pytest.fixture
async def person(replicated: Mesh) -> SignedUp:
    return await asyncio.to_thread(replicated.sign_up)


@pytest.fixture
def door(replicated: Mesh, person: SignedUp) -> Callable[[str], GrpcDoor]:
    """A way in for a new user: straight at a replica, or through the edge."""
    return lambda way: GrpcDoor(replicated.address(way), person.token)


def asking(**fields: Any) -> pb.StreamReplyRequest:
    return pb.StreamReplyRequest(message="Count for me, please.", route=message_pb2.ROUTE_STANDARD, **fields)


def text_of(events: Events) -> str:
    return "".join(event.delta.text for event in events)


def assert_whole(events: Events, after: int = 0) -> None:
    """No gap and no repeat, from after a place to the one end of the turn."""
    last = after
    for event in events:
        assert event.first_sequence == last + 1, (last, event)
        last = event.sequence
    assert [event.WhichOneof("event") in ENDS for event in events] == [False] * (len(events) - 1) + [True]


def is_at(word: int) -> Callable[[turn_event_pb2.TurnEvent], bool]:
    return lambda event: f"word{word} " in event.delta.text


async def read(
    stream: AsyncIterator[turn_event_pb2.TurnEvent],
    into: Events,
    until: Callable[[turn_event_pb2.TurnEvent], bool] = lambda _: False,
) -> None:
    """Reads until an event, or the end, and then cuts the stream."""
    async with asyncio.timeout(90), aclosing(stream) as events:  # type: ignore[type-var] # async generators all
        async for event in events:
            into.append(event)
            if until(event):
                return


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what others do: readers in their tasks, processes."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - they have no event
            await asyncio.sleep(0.01)


async def read_on(door: GrpcDoor, events: Events) -> None:
    """Resumes after the last event as often as it takes, as every client of Parley does."""
    async with asyncio.timeout(90):
        while events[-1].WhichOneof("event") not in ENDS:
            try:
                await read(door.resume(events[0].turn_id, events[-1].sequence), events)
            except RefusedError as refused:
                if refused.code not in CUT:
                    raise
                await asyncio.sleep(0.05)


async def replay(door: GrpcDoor, turn_id: str) -> Events:
    events: Events = []
    await read(door.resume(turn_id), events)
    return events


Doors = Callable[[str], GrpcDoor]


@pytest.mark.parametrize(
    ("begun", "resumed"), [("chat", "chat-2"), ("chat-2", "chat"), ("chat", "edge"), ("edge", "chat-2")]
)
async def test_a_stream_that_is_cut_goes_on_through_the_other_replica(door: Doors, begun: str, resumed: str) -> None:
    events: Events = []
    await read(door(begun).stream(asking()), events, is_at(9))
    place = events[-1].sequence
    rest: Events = []
    await read(door(resumed).resume(events[0].turn_id, place), rest)
    assert_whole(rest, place)
    assert text_of(events) + text_of(rest) == TEXT
    assert rest[-1].completed.message.text == TEXT


async def test_readers_at_every_replica_see_the_same_turn_while_it_is_written(door: Doors, counted: FakeOpenAI) -> None:
    counted.enqueue(STALLED)
    first: Events = []
    readings = [asyncio.create_task(read(door("chat").stream(asking()), first))]
    await until(lambda: bool(first))
    others: list[Events] = [[] for _ in WAYS]
    for way, other in zip(WAYS, others, strict=True):
        readings.append(asyncio.create_task(read(door(way).resume(first[0].turn_id), other)))
    await until(lambda: all("word100 " in text_of(events) for events in (first, *others)))
    await door("edge").stop(first[0].turn_id)
    await asyncio.gather(*readings)
    for events in (first, *others):
        assert_whole(events)
        assert text_of(events) == text_of(first)
        assert events[-1] == first[-1]


@pytest.mark.parametrize(("begun", "stopped"), [("chat", "chat-2"), ("chat-2", "chat"), ("chat", "edge")])
async def test_a_turn_is_stopped_through_the_other_replica(
    door: Doors, counted: FakeOpenAI, begun: str, stopped: str
) -> None:
    cut_before, asked_before = counted.streams_cut, len(counted.requests)
    counted.enqueue(STALLED)
    events: Events = []
    reading = asyncio.create_task(read(door(begun).stream(asking()), events))
    await until(lambda: "word9 " in text_of(events))
    receipt = await door(stopped).stop(events[0].turn_id)
    await counted.wait_for(lambda: counted.streams_cut == cut_before + 1, "the upstream's connection to be closed")
    await reading
    assert_whole(events)
    message = events[-1].stopped.message
    assert events[-1].stopped.text_length == len(message.text)
    assert message.text == text_of(events)
    assert TEXT.startswith(message.text)
    assert message.text != TEXT
    assert receipt.stopped
    assert receipt.message == message
    # Asked again, at either: harmless, and clear.
    for way in WAYS:
        again = await door(way).stop(events[0].turn_id)
        assert (again.stopped, again.message) == (False, message)
    assert len(counted.requests) == asked_before + 1, "nobody took up what was stopped"


async def test_fifty_identical_sends_at_once_are_one_turn_and_one_bill(door: Doors, counted: FakeOpenAI) -> None:
    asked_before, name = len(counted.requests), uuid4().hex

    async def streamed(way: str) -> Events:
        events: Events = []
        await read(door(way).stream(asking(client_message_id=name)), events)
        return events

    transcripts = await asyncio.gather(*(streamed(WAYS[number % 2]) for number in range(50)))
    for events in transcripts:
        assert_whole(events)
        assert text_of(events) == TEXT
    assert len({events[0].turn_id for events in transcripts}) == 1
    assert len({events[-1].SerializeToString(deterministic=True) for events in transcripts}) == 1
    assert len(counted.requests) == asked_before + 1
    # Afterwards a repeat is the same answer, from either.
    for way in WAYS:
        request = pb.SendMessageRequest(
            message="Count for me, please.", route=message_pb2.ROUTE_STANDARD, client_message_id=name
        )
        whole = await door(way).send(request)
        assert (whole.turn_id, whole.text) == (transcripts[0][0].turn_id, TEXT)
        assert whole.usage == transcripts[0][-1].completed.message.usage
    session_id = transcripts[0][0].started.session_id
    for way in WAYS:
        listed = await door(way).messages(session_id)
        assert [message.text for message in listed.messages] == [TEXT, "Count for me, please."]
    assert len(counted.requests) == asked_before + 1


@pytest.mark.parametrize("writer", ["chat", "chat-2"])
async def test_kill_9_of_the_replica_that_writes_loses_and_repeats_nothing(
    door: Doors, replicated: Mesh, counted: FakeOpenAI, writer: str
) -> None:
    counted.enqueue(STALLED)
    events: Events = []
    through_edge: Events = []
    await read(door(writer).stream(asking()), events, lambda event: event.HasField("started"))
    watching = asyncio.create_task(read(door("edge").resume(events[0].turn_id), through_edge))
    await until(lambda: "word20 " in text_of(through_edge))
    pid = await asyncio.to_thread(replicated.kill, writer)
    # The edge had this reader at the dead replica, or at the other, where it just waits for the turn to go on.
    [cut] = await asyncio.gather(watching, return_exceptions=True)
    assert cut is None or isinstance(cut, RefusedError), cut
    await read_on(door("edge"), through_edge)
    assert_whole(through_edge)
    assert text_of(through_edge) == TEXT
    assert through_edge[-1].completed.message.text == TEXT
    notices = [event.notice.kind for event in through_edge if event.HasField("notice")]
    assert turn_event_pb2.NOTICE_KIND_CONTINUED in notices
    # The reader that was cut first goes on from its own place.
    await read_on(door("edge"), events)
    assert_whole(events)
    await asyncio.to_thread(replicated.wait_until_back, writer, pid)
    for way in WAYS:
        assert text_of(await replay(door(way), events[0].turn_id)) == TEXT


async def test_a_replica_that_hung_and_comes_back_writes_nothing_more_into_a_turn_it_lost(
    door: Doors, replicated: Mesh, counted: FakeOpenAI
) -> None:
    """Frozen, not dead: nobody starts it again, so it is the other replica that goes on."""
    asked_before = len(counted.requests)
    counted.enqueue(Reply(pieces=numbered_words(WORDS), tokens_per_second=10))
    events: Events = []
    await read(door("chat-2").stream(asking()), events, is_at(9))
    await asyncio.to_thread(replicated.kill, "chat-2", signal.SIGSTOP)
    try:
        await read_on(door("chat"), events)
    finally:
        await asyncio.to_thread(replicated.kill, "chat-2", signal.SIGCONT)
    assert_whole(events)
    assert text_of(events) == TEXT
    assert len(counted.requests) == asked_before + 2
    # It wakes up with words that it has not written yet, finds that the turn is another's, and answers like the other.
    await counted.wait_for(lambda: counted.streams_open == 0, "the generation of the one that hung to end")
    for way in ("chat-2", "chat"):
        again: Events = []
        async with asyncio.timeout(60):
            while not again:
                try:
                    again = await replay(door(way), events[0].turn_id)
                except RefusedError as refused:
                    if refused.code not in CUT:
                        raise
        assert_whole(again)
        assert text_of(again) == TEXT
        assert again[-1] == events[-1]
        listed = await door(way).messages(events[0].started.session_id)
        assert listed.messages[0] == events[-1].completed.message


@pytest.mark.parametrize("writer", ["chat", "chat-2"])
async def test_a_replica_that_is_told_to_end_loses_no_turn(
    door: Doors, replicated: Mesh, counted: FakeOpenAI, writer: str
) -> None:
    counted.enqueue(STALLED)
    events: Events = []
    await read(door(writer).stream(asking()), events, is_at(9))
    pid = await asyncio.to_thread(replicated.kill, writer, signal.SIGTERM)
    await read_on(door("edge"), events)
    assert_whole(events)
    assert text_of(events) == TEXT
    assert events[-1].completed.message.text == TEXT
    await asyncio.to_thread(replicated.wait_until_back, writer, pid)


async def test_while_a_replica_is_away_callers_of_the_edge_notice_nothing(replicated: Mesh, person: SignedUp) -> None:
    """But for those whose call had reached it: only they can tell whether it may be made again."""
    headers = {"authorization": person.authorization}
    pid = await asyncio.to_thread(replicated.kill, "chat-2")
    await until(lambda: not Path(f"/proc/{pid}").exists())

    def call(number: int) -> int:
        if number % 2:
            return replicated.request("GET", "/api/v2/chat/sessions", headers=headers)[0]
        return replicated.request("POST", "/api/v2/chat/sessions", {"title": f"number {number}"}, headers=headers)[0]

    answers: list[int] = []
    async with asyncio.timeout(90):
        back = asyncio.create_task(asyncio.to_thread(replicated.wait_until_back, "chat-2", pid))
        while not back.done():
            answers += await asyncio.gather(*(asyncio.to_thread(call, number) for number in range(8)))
        await back
    assert set(answers) == {200}
    assert len(answers) >= 8


async def test_when_all_is_killed_and_started_again_one_of_the_replicas_goes_on_with_the_turn(
    counted: FakeOpenAI, postgres: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Both find it when they start, and both would go on with it."""
    environment = {
        **replicas_of_chat(postgres.new_database_url(), redis_server.new_url()),
        "OPENAI_BASE_URL": counted.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": "fake-model",
        "PARLEY_CHAT_LEASE_SECONDS": "5",
    }
    asked_before, cut_before = len(counted.requests), counted.streams_cut
    counted.enqueue(STALLED)
    events: Events = []
    first = await asyncio.to_thread(Mesh.start, tmp_path / "home", environment)
    try:
        person = await asyncio.to_thread(first.sign_up)
        await read(GrpcDoor(first.address("chat-2"), person.token).stream(asking()), events, is_at(20))
    finally:
        await asyncio.to_thread(first.stop, number=signal.SIGKILL)
    await counted.wait_for(lambda: counted.streams_cut == cut_before + 1, "inference to be gone")
    second = await asyncio.to_thread(Mesh.start, tmp_path / "home", environment)
    try:
        await read_on(GrpcDoor(second.grpc_address, person.token), events)
        assert_whole(events)
        assert text_of(events) == TEXT
        notices = [event.notice.kind for event in events if event.HasField("notice")]
        assert notices.count(turn_event_pb2.NOTICE_KIND_CONTINUED) == 1
        assert len(counted.requests) == asked_before + 2
    finally:
        await asyncio.to_thread(second.stop)
