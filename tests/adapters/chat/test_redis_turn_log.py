"""What the turn log in Redis promises beyond every turn log: many replicas, and a Redis that dies, hangs, forgets or refuses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_turn_log import RedisTurnLog
from parley_chat.domain.conversation import Message, MessageState, Role
from parley_chat.domain.turn import TextDelta, TurnCompleted, TurnEvent
from parley_chat.ports.turn_log import TurnLogFencedError, TurnLogMissingError, TurnLogReader
from parley_testing.redis_server import RedisServer, redis_server, running_redis

__all__ = ["redis_server"]  # The fixture of the server; imported so that pytest finds it.

TURN = "trn_" + "0" * 32
SECONDS = 60
"""After which a test is taken for hung; no test needs it."""
MESSAGE = Message(
    message_id="msg_1",
    session_id="ses_1",
    parent_message_id="msg_0",
    role=Role.ASSISTANT,
    text="all of it",
    state=MessageState.COMPLETED,
    create_time=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    turn_id=TURN,
)
END = TurnCompleted(MESSAGE)


@dataclass(frozen=True)
class Replica:
    """What one replica of chat has of Redis."""

    redis: RedisConnection
    log: RedisTurnLog


@contextlib.asynccontextmanager
async def replica(url: str, *, patience_seconds: float = 50.0, call_seconds: float = 5.0) -> AsyncIterator[Replica]:
    redis = RedisConnection(url, patience_seconds=patience_seconds, call_seconds=call_seconds)
    log = RedisTurnLog(redis, retention_seconds=3600)
    try:
        yield Replica(redis, log)
    finally:
        await log.close()
        await redis.close()


@pytest.fixture
async def pair(redis_server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas on one Redis."""
    url = redis_server.new_url()
    async with replica(url) as one, replica(url) as other:
        yield one, other


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with running_redis() as server:
        yield server


async def follow(reader: TurnLogReader, *, until: Callable[[list[TurnEvent]], bool]) -> list[int]:
    """Reads on until it has seen enough, and gives the places in the order in which they came."""
    events: list[TurnEvent] = []
    async with asyncio.timeout(SECONDS):
        while not until(events):
            events += await reader.next()
    return [event.sequence for event in events]


def ended(events: list[TurnEvent]) -> bool:
    return bool(events) and events[-1].is_last


async def test_a_turn_is_followed_at_another_replica_from_every_place_while_it_is_written(
    pair: tuple[Replica, Replica],
) -> None:
    here, there = pair
    writer = await here.log.begin(TURN)
    await writer.append([TextDelta(str(number)) for number in range(1, 21)])
    readers = [(after, await log.open_reader(TURN, after)) for log in (here.log, there.log) for after in range(22)]
    following = [asyncio.create_task(follow(reader, until=ended)) for _, reader in readers]
    for number in range(21, 200):
        await writer.append([TextDelta(str(number))])
    await writer.append([END])
    await writer.close()
    for (after, reader), got in zip(readers, await asyncio.gather(*following), strict=True):
        assert got == list(range(after + 1, 201))
        assert reader.end_sequence == 200
        assert await reader.next() == []
        reader.close()
    assert [event.sequence for event in await there.log.read(TURN)] == list(range(1, 201))


async def test_news_comes_also_after_the_connection_for_it_was_cut(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    writer = await here.log.begin(TURN)
    reader = await there.log.open_reader(TURN, 0)
    following = asyncio.create_task(follow(reader, until=ended))
    for _ in range(5):
        await writer.append([TextDelta("x")])
        await here.redis.command("CLIENT", "KILL", "TYPE", "pubsub")
    await writer.append([END])
    assert await following == [1, 2, 3, 4, 5, 6]
    reader.close()


async def test_who_is_fenced_off_adds_nothing_and_its_readers_go_on_with_the_other(
    pair: tuple[Replica, Replica],
) -> None:
    here, there = pair
    old = await here.log.begin(TURN)
    await old.append([TextDelta("old")])
    reader = await here.log.open_reader(TURN, 1)
    waiting = asyncio.create_task(reader.next())

    new = await there.log.take_over(TURN, 2)
    assert new.last_sequence == 1
    # It notices although its writer has nothing to write.
    async with asyncio.timeout(SECONDS):
        assert await waiting == []
    with pytest.raises(TurnLogFencedError):
        await old.append([TextDelta("zombie")])
    await new.append([TextDelta("new")])
    with pytest.raises(OSError, match="closed"):
        await old.append([TextDelta("zombie")])
    await old.close()

    reader = await here.log.open_reader(TURN, 1)
    assert [event.body for event in await reader.next()] == [TextDelta("new")]
    reader.close()
    for fence in (1, 2):
        with pytest.raises(TurnLogFencedError):
            await here.log.take_over(TURN, fence)
    newest = await here.log.take_over(TURN, 3)
    await newest.append([END])
    with pytest.raises(TurnLogFencedError):
        await new.append([TextDelta("zombie")])
    assert [event.body for event in await there.log.read(TURN)] == [TextDelta("old"), TextDelta("new"), END]


async def test_a_log_is_begun_once(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    await here.log.begin(TURN)
    with pytest.raises(TurnLogFencedError):
        await there.log.begin(TURN)


async def test_a_log_that_another_replica_deletes_ends_writer_and_readers(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    writer = await here.log.begin(TURN)
    await writer.append([TextDelta("x")])
    readers = [await log.open_reader(TURN, 1) for log in (here.log, there.log)]
    waiting = [asyncio.create_task(reader.next()) for reader in readers]
    await there.log.delete(TURN)
    async with asyncio.timeout(SECONDS):
        assert await asyncio.gather(*waiting) == [[], []]
    with pytest.raises(TurnLogMissingError):
        await writer.append([TextDelta("y")])
    with pytest.raises(TurnLogMissingError):
        await there.log.open_reader(TURN, 0)


async def test_a_redis_that_forgot_everything_is_told_apart_from_one_that_is_away(own_server: RedisServer) -> None:
    async with replica(own_server.new_url()) as here:
        writer = await here.log.begin(TURN)
        await writer.append([TextDelta("x")])
        own_server.ask("FLUSHALL")
        with pytest.raises(TurnLogMissingError):
            await writer.append([TextDelta("y")])
        await writer.close()
        with pytest.raises(TurnLogMissingError):
            await here.log.take_over(TURN, 2)


async def test_a_turn_outlives_the_kill_of_redis_without_a_gap(own_server: RedisServer) -> None:
    url = own_server.new_url()
    async with replica(url) as here, replica(url) as there:
        writer = await here.log.begin(TURN)
        readers = [await log.open_reader(TURN, 0) for log in (here.log, there.log)]
        following = [asyncio.create_task(follow(reader, until=ended)) for reader in readers]
        await writer.append([TextDelta("first")])
        await own_server.until_written()
        for number in range(1, 301):
            if number % 100 == 0:
                own_server.kill()
                appending = asyncio.create_task(writer.append([TextDelta(str(number))]))
                await asyncio.to_thread(own_server.start)
                await appending
                await own_server.until_written()
            else:
                await writer.append([TextDelta(str(number))])
        await writer.append([END])
        for got in await asyncio.gather(*following):
            assert got == list(range(1, 303))
        assert [event.sequence for event in await there.log.read(TURN)] == list(range(1, 303))
        for reader in readers:
            reader.close()


async def test_what_redis_lost_of_its_last_moments_is_appended_again(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    writer = await here.log.begin(TURN)
    await writer.append([TextDelta("1"), TextDelta("2")])
    name, stream = here.log.keys(TURN)
    # As it is after a loss of power: the newest two of its steps never happened.
    before = [part for field in (await here.redis.command("HGETALL", name)).items() for part in field]
    await writer.append([TextDelta("3")])
    await writer.append([TextDelta("4"), TextDelta("5")])
    await here.redis.command("HSET", name, *before)
    await here.redis.command("XDEL", stream, "3-0", "4-0", "5-0")
    await here.redis.command("XSETID", stream, "2-0")
    assert len(await there.log.read(TURN)) == 2

    reader = await there.log.open_reader(TURN, 5)
    await writer.append([TextDelta("6")])
    assert [event.body for event in await reader.next()] == [TextDelta("6")]
    reader.close()
    assert [event.body for event in await there.log.read(TURN)] == [TextDelta(str(number)) for number in range(1, 7)]


async def test_a_takeover_that_redis_lost_still_counts(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    old = await here.log.begin(TURN)
    await old.append([TextDelta("1")])
    name, _ = here.log.keys(TURN)
    before = [part for field in (await here.redis.command("HGETALL", name)).items() for part in field]
    new = await there.log.take_over(TURN, 2)
    await here.redis.command("HSET", name, *before)
    await new.append([TextDelta("2")])
    with pytest.raises(TurnLogFencedError):
        await old.append([TextDelta("zombie")])
    assert [event.body for event in await here.log.read(TURN)] == [TextDelta("1"), TextDelta("2")]


@pytest.mark.parametrize("call_seconds", [5.0, 0.2])
async def test_a_frozen_redis_keeps_an_event_once_however_often_it_was_sent(
    own_server: RedisServer, call_seconds: float
) -> None:
    url = own_server.new_url()
    async with replica(url, call_seconds=call_seconds) as here, replica(url, call_seconds=call_seconds) as there:
        writer = await here.log.begin(TURN)
        await writer.append([TextDelta("1")])
        reader = await there.log.open_reader(TURN, 0)
        following = asyncio.create_task(follow(reader, until=ended))
        own_server.freeze()
        appending = asyncio.create_task(writer.append([TextDelta("2"), TextDelta("3")]))
        # With the shorter time this is some tries, each of which Redis meets when it goes on.
        await asyncio.wait([appending], timeout=1)
        assert not appending.done()
        own_server.thaw()
        await appending
        assert writer.last_sequence == 3
        await writer.append([END])
        assert await following == [1, 2, 3, 4]
        reader.close()


async def test_a_write_that_was_given_up_and_happened_all_the_same_is_in_its_place(own_server: RedisServer) -> None:
    url = own_server.new_url()
    async with replica(url) as there, replica(url, patience_seconds=2, call_seconds=2) as here:
        writer = await here.log.begin(TURN)
        await writer.append([TextDelta("1")])
        own_server.freeze()
        with pytest.raises(OSError, match="Redis"):
            await writer.append([TextDelta("given up")])
        own_server.thaw()
        reader = await there.log.open_reader(TURN, 1)
        async with asyncio.timeout(SECONDS):
            assert [event.body for event in await reader.next()] == [TextDelta("given up")]
        reader.close()
        await writer.append([TextDelta("3"), END])
        reader = await here.log.open_reader(TURN, 0)
        assert [event.body for event in await reader.next()] == [
            TextDelta("1"),
            TextDelta("given up"),
            TextDelta("3"),
            END,
        ]
        assert [event.sequence for event in await there.log.read(TURN)] == [1, 2, 3, 4]


async def test_a_writer_gives_up_after_its_patience_and_can_go_on_later(own_server: RedisServer) -> None:
    url = own_server.new_url()
    async with replica(url) as there, replica(url, patience_seconds=2) as here:
        writer = await here.log.begin(TURN)
        await writer.append([TextDelta("1")])
        await own_server.until_written()
        own_server.kill()
        with pytest.raises(OSError, match="Redis"):
            await writer.append([TextDelta("not kept")])
        with pytest.raises(OSError, match="Redis"):
            await here.log.read(TURN)
        assert writer.last_sequence == 1
        await asyncio.to_thread(own_server.start)
        await writer.append([TextDelta("2")])
        assert [event.body for event in await there.log.read(TURN)] == [TextDelta("1"), TextDelta("2")]


async def test_an_append_that_is_cancelled_is_kept_or_not_before_the_next_one(own_server: RedisServer) -> None:
    async with replica(own_server.new_url()) as here:
        writer = await here.log.begin(TURN)
        own_server.freeze()
        appending = asyncio.create_task(writer.append([TextDelta("1")]))
        await asyncio.wait([appending], timeout=0.1)
        appending.cancel()
        await asyncio.wait([appending], timeout=0.1)
        appending.cancel()
        own_server.thaw()
        with pytest.raises(asyncio.CancelledError):
            await appending
        assert writer.last_sequence == 1
        await writer.append([END])
        assert [event.body for event in await here.log.read(TURN)] == [TextDelta("1"), END]


async def test_a_long_answer_takes_little_memory_also_when_nobody_reads_it(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    writer = await here.log.begin(TURN)
    readers = [await log.open_reader(TURN, 0) for log in (here.log, there.log)]
    await writer.append([TextDelta("first")])
    for reader in readers:
        assert len(await reader.next()) == 1
    text = TextDelta("y" * 50_000)
    events = 300
    tracemalloc.start()
    try:
        for number in range(events):
            await writer.append([replace(text, text=f"{number}{text.text}")])
        got = [0, 0]
        for place, reader in enumerate(readers):
            while got[place] < events:
                got[place] += len(await reader.next())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == [events, events]
    assert peak < 5_000_000 < events * 50_000
    for reader in readers:
        reader.close()


async def test_three_hundred_readers_share_few_connections(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    turns = [f"trn_{number:032x}" for number in range(50)]
    writers = [await here.log.begin(turn_id) for turn_id in turns]
    readers = [await there.log.open_reader(turn_id, 0) for turn_id in turns for _ in range(6)]
    following = [asyncio.create_task(follow(reader, until=ended)) for reader in readers]
    for _ in range(3):
        await asyncio.gather(*(writer.append([TextDelta("x")]) for writer in writers))
    clients = (await here.redis.command("CLIENT", "LIST")).splitlines()
    assert len([line for line in clients if b"name=parley-chat" in line]) <= 2 * 16
    await asyncio.gather(*(writer.append([END]) for writer in writers))
    assert await asyncio.gather(*following) == [[1, 2, 3, 4]] * 300
    for reader in readers:
        reader.close()


async def test_a_log_lives_as_long_as_its_turn_and_then_as_long_as_it_is_kept(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    day = 24 * 3600 * 1000
    writer = await here.log.begin(TURN)
    keys = here.log.keys(TURN)
    assert 7 * day < await here.redis.command("PTTL", keys[0]) <= 8 * day
    await writer.append([TextDelta("x")])
    assert [7 * day < await here.redis.command("PTTL", key) <= 8 * day for key in keys] == [True, True]
    await writer.append([END])
    assert [0 < await here.redis.command("PTTL", key) <= 3600 * 1000 for key in keys] == [True, True]
    assert await there.log.expire(older_than_seconds=-1) == []
    await writer.close()
    assert await there.log.expire(older_than_seconds=-1) == [TURN]
    assert await here.redis.command("KEYS", "*") == []


async def test_a_wrong_password_or_address_is_said_at_once_and_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with running_redis(password="right") as server:
        good = server.new_url()
        async with replica(good) as here:
            await here.redis.ping()
        for url in (good.replace("right", "s3cret"), good.replace("right", "user:s3cret").replace(":user", "user")):
            async with replica(url) as here:
                with pytest.raises(OSError, match="Redis") as failure:
                    await here.redis.ping()
                said.append(repr(failure.value))
    async with replica(good.replace("right", "s3cret")) as here:
        with pytest.raises(OSError, match="Redis") as failure:
            await here.redis.ping()
        said.append(repr(failure.value))
    for url in (
        "",
        "http://h",
        "redis://",
        "redis://:s3cret#/x@h:1/0",
        "redis://:s3cret@h:port/0",
        "redis://:s3cret@h/0?db=1",
    ):
        with pytest.raises(ValueError, match="it must be like") as refusal:
            RedisConnection(url)
        assert refusal.value.__cause__ is None
        said.append(repr(refusal.value))
    assert "s3cret" not in "".join([*said, caplog.text])
