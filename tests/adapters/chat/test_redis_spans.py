"""Replicas of chat that tell each other the spans of a trace over Redis, and what happens when one of them does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_spans import BYTES_MOST, RedisSpans
from parley_chat.domain.traces import USER_ATTRIBUTE, Span, SpanKind
from parley_chat.operations.traces import Traces
from parley_chat.ports.span_source import SpansUnavailableError
from parley_testing.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]  # The fixture of the server; imported so that pytest finds it.

TRACE = "ab" * 16
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENT = 60.0
OF_USER = {USER_ATTRIBUTE: "usr_1"}


class Kept:
    """What a process keeps: spans by trace, told when it is let."""

    def __init__(self, *spans: Span) -> None:
        self.spans = spans
        self.asked = 0
        self.may_tell = asyncio.Event()
        self.may_tell.set()

    async def spans_of(self, trace_id: str, user_id: str) -> Sequence[Span]:
        del user_id
        self.asked += 1
        await self.may_tell.wait()
        return self.spans if trace_id == TRACE else ()


def made(number: int, attributes: Mapping[str, str] | None = None, *, parent: int = 0, service: str = "chat") -> Span:
    return Span(
        span_id=f"{number:016x}",
        parent_span_id=f"{parent:016x}" if parent else "",
        service=service,
        name=f"work {number}",
        kind=SpanKind.SERVER,
        start=NOON + timedelta(microseconds=number),
        end=NOON + timedelta(seconds=1),
        failed=number % 2 == 0,
        attributes=attributes or {},
    )


@contextlib.asynccontextmanager
async def replica(url: str, *kept: Kept, seconds: float = PATIENT) -> AsyncIterator[RedisSpans]:
    redis = RedisConnection(url, call_seconds=PATIENT)
    spans = RedisSpans(redis, kept, seconds=seconds)
    try:
        yield spans
    finally:
        await spans.close()
        await redis.close()


async def until_told(asking: RedisSpans, *wanted: Span) -> None:
    """Waits until the replicas have heard of each other and all of it is told."""
    async with asyncio.timeout(PATIENT):
        while True:
            found = await asking.spans_of(TRACE, "usr_1")
            if sorted(found, key=lambda span: span.span_id) == list(wanted):
                return


async def test_each_replica_knows_what_all_of_them_keep(redis_server: RedisServer) -> None:
    url = redis_server.new_url()
    edge = made(1, service="edge")
    call = made(2, OF_USER, parent=1)
    work = made(3, {"rest": "é"}, parent=2)
    async with (
        replica(url, Kept(call), Kept(edge)) as one,
        replica(url, Kept(work)) as other,
        replica(url, Kept()) as third,
    ):
        for asking in (one, other, third):
            await until_told(asking, edge, call, work)
        found = await asyncio.gather(*(asking.spans_of(TRACE, "usr_1") for asking in (one, other, third) * 5))
        assert {len(spans) for spans in found} == {3}
        assert list(await third.spans_of("cd" * 16, "usr_1")) == []


async def test_a_whole_trace_is_one_tree_although_each_replica_has_a_part_and_one_tells_it_twice(
    redis_server: RedisServer,
) -> None:
    url = redis_server.new_url()
    own = Kept(made(3, parent=2))
    call = made(2, OF_USER)
    async with replica(url, own) as here, replica(url, Kept(call)):
        await until_told(here, call, made(3, parent=2))
        trace = await Traces([("chat", own), ("chat", here)], seconds=PATIENT).get(TRACE, "usr_1")
    assert [span.name for span in trace.spans] == ["work 2", "work 3"]
    assert trace.missing == ()


async def test_who_does_not_tell_in_time_is_missing_and_the_rest_is_shown(redis_server: RedisServer) -> None:
    url = redis_server.new_url()
    slow = Kept(made(3, parent=2))
    call = made(2, OF_USER)
    own = Kept(call)
    async with replica(url, own, seconds=0.5) as here, replica(url, slow):
        async with asyncio.timeout(PATIENT):
            while not slow.asked:
                with contextlib.suppress(SpansUnavailableError):
                    await here.spans_of(TRACE, "usr_1")
        slow.may_tell.clear()
        trace = await Traces([("chat", own), ("chat", here)], seconds=PATIENT).get(TRACE, "usr_1")
        slow.may_tell.set()
    assert ([span.name for span in trace.spans], trace.missing) == (["work 2"], ("chat",))


async def test_without_redis_a_replica_shows_its_own() -> None:
    own = Kept(made(2, OF_USER))
    async with replica("redis://127.0.0.1:1/0", own, seconds=0.2) as here:
        with pytest.raises(SpansUnavailableError):
            await here.spans_of(TRACE, "usr_1")
        trace = await Traces([("chat", own), ("chat", here)], seconds=PATIENT).get(TRACE, "usr_1")
    assert ([span.name for span in trace.spans], trace.missing) == (["work 2"], ("chat",))


async def test_an_answer_is_bounded(redis_server: RedisServer) -> None:
    url = redis_server.new_url()
    large = [made(number, {f"a{each}": "x" * 500 for each in range(64)}) for number in range(1, 101)]
    async with replica(url, Kept(*large)) as here, replica(url) as there:
        async with asyncio.timeout(PATIENT):
            while not (found := await there.spans_of(TRACE, "usr_1")):
                pass
        assert 20 < len(found) < 100
        assert list(found) == large[: len(found)]
        assert len(found) * 32_000 <= BYTES_MOST
        del here
