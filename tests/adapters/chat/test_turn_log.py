"""What every turn log promises, and what the one of files promises beyond it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from parley_chat.adapters.file_turn_log import FileTurnLog
from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_turn_log import RedisTurnLog
from parley_chat.domain.conversation import Citation, Failure, Message, MessageState, Quote, Role, Route, Usage
from parley_chat.domain.tool_approvals import ApprovalState, ToolEffect
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.turn import (
    ApprovalDecided,
    ApprovalRequested,
    Notice,
    NoticeKind,
    ProviderSwitched,
    ReasoningDelta,
    RouteChosen,
    SourcesFound,
    TextDelta,
    ToolCalled,
    ToolReturned,
    TurnCompleted,
    TurnEventBody,
    TurnFailed,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
)
from parley_chat.ports.turn_log import TurnLog, TurnLogFencedError, TurnLogMissingError
from parley_testing.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]  # The fixture of the server; imported so that pytest finds it.

TURN = "trn_" + "0" * 32
OTHER_TURN = "trn_" + "1" * 32
CITATION = Citation(
    1, "chunk", "doc_1", "Title", "A › B", "Passage with \n line ends\u2028and ünïcode 🦜", 3, 41, "ab" * 32, 2,
    (Quote(0, 4, verified=True), Quote(9, 2, verified=False)),
)  # fmt: skip
MESSAGE = Message(
    message_id="msg_1",
    session_id="ses_1",
    parent_message_id="msg_0",
    role=Role.ASSISTANT,
    text="Text [1]\n\r\u2028 with \ud83d lone surrogate",
    state=MessageState.FAILED,
    create_time=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    turn_id=TURN,
    citations=(CITATION,),
    usage=Usage(1, 2, True, 3, 4),
    route=Route.ENHANCED,
    model="m",
    failure=Failure(14, "ERROR_REASON_PROVIDER_UNAVAILABLE", "words", True),
    trace_id="0" * 32,
    tool_uses=(
        ToolUse("call_1", "create_task", '{"title": "Pay"}', 0, 4, '{"task": {}}'),
        ToolUse("call_2", "nope", "{", 1, 4, '{"error": {}}', failed=True),
        ToolUse("call_3", "delete_task", "{}", 2, 4, "{}", True, ApprovalState.DENIED, '{"task_id": ""}', "No"),
    ),
)
EVERY_KIND: list[TurnEventBody] = [
    TurnStarted("ses_1", "msg_0", "msg_1", "mine", "0" * 32),
    RouteChosen(Route.ENHANCED, "why", "strong"),
    SourcesFound((CITATION,)),
    TextDelta("Hello\nworld 🦜"),
    ReasoningDelta("hm"),
    Notice(NoticeKind.WITHOUT_CONTEXT, "words"),
    TurnRestarted(),
    ProviderSwitched("a", "b", "ERROR_REASON_PROVIDER_STALLED", 7, "The model a has fallen silent; b goes on."),
    TurnQueued(3, "words"),
    ToolCalled("call_1", "create_task", '{"title": "Pay\\n"}'),
    ToolReturned("call_1", "create_task", '{"task": {"title": "🦜"}}', failed=False),
    ApprovalRequested("call_1", "create_task", "{}", ToolEffect.EXTERNAL, datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
    ApprovalDecided("call_1", "create_task", ApprovalState.DENIED, '{"title": "🦜"}', "No\n"),
    TurnCompleted(MESSAGE),
    TurnFailed(Failure(13, "ERROR_REASON_INTERNAL", "words", False), MESSAGE),
    TurnStopped(MESSAGE),
]


@pytest.fixture(params=["file", "redis"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TurnLog]:
    if request.param == "file":
        yield FileTurnLog(tmp_path / "turns")
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    redis = RedisConnection(server.new_url())
    turn_log = RedisTurnLog(redis, retention_seconds=3600)
    yield turn_log
    await turn_log.close()
    await redis.close()


async def read_to_end(log: TurnLog, turn_id: str, after: int = 0) -> list[tuple[int, TurnEventBody]]:
    """Reads to the end of a log that nobody writes. Of a log that others may write, a reader would wait for them."""
    reader = await log.open_reader(turn_id, after)
    got: list[tuple[int, TurnEventBody]] = []
    async with asyncio.timeout(60):
        while not log.is_shared or max([after, *(sequence for sequence, _ in got[-1:])]) < reader.end_sequence:
            events = await reader.next()
            if not events:
                break
            got += [(event.sequence, event.body) for event in events]
    reader.close()
    return got


async def follow(log: TurnLog, turn_id: str) -> list[int]:
    """Follows a writer of this process to its end."""
    reader = await log.open_reader(turn_id, 0)
    got: list[int] = []
    while events := await reader.next():
        got += [event.sequence for event in events]
    reader.close()
    return got


async def test_every_kind_of_event_comes_back_as_it_was_written(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    for body in EVERY_KIND:
        await writer.append([body])
    await writer.close()

    expected = list(enumerate(EVERY_KIND, start=1))
    assert await read_to_end(log, TURN) == expected
    assert [(event.sequence, event.body) for event in await log.read(TURN)] == expected


async def test_a_reader_may_start_at_every_place_and_misses_and_repeats_nothing(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    await writer.append([TextDelta(str(number)) for number in range(1, 701)])
    for after in (0, 1, 255, 256, 257, 699, 700):
        reader = await log.open_reader(TURN, after)
        if after < 700:
            got: list[int] = []
            while len(got) < 700 - after:
                got += [event.sequence for event in await reader.next()]
            assert got == list(range(after + 1, 701))
        reader.close()
    await writer.close()
    for after in (0, 1, 255, 256, 257, 699, 700, 9000):
        assert [sequence for sequence, _ in await read_to_end(log, TURN, after)] == list(range(after + 1, 701))


async def test_readers_that_follow_get_every_event_of_a_writer_however_fast_it_is(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    readers = [asyncio.create_task(follow(log, TURN)) for _ in range(3)]
    await asyncio.sleep(0)  # They are there before the writer is gone.
    for number in range(1, 3001):
        await writer.append([TextDelta("x" * (number % 97))])
        if number % 7 == 0:
            await asyncio.sleep(0)
    await writer.close()
    for transcript in await asyncio.gather(*readers):
        assert transcript == list(range(1, 3001))


async def test_a_reader_that_falls_far_behind_reads_on_where_it_was(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    await writer.append([TextDelta("first")])
    reader = await log.open_reader(TURN, 0)
    got = [event.sequence for event in await reader.next()]
    for _ in range(400):
        await writer.append([TextDelta("y" * 2000)])
    await writer.close()
    while events := await reader.next():
        got += [event.sequence for event in events]
    reader.close()
    assert got == list(range(1, 402))
    assert reader.end_sequence == 401


async def test_a_waiting_reader_gets_its_end_when_the_writer_closes(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    reader = await log.open_reader(TURN, 0)
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    await writer.close()
    assert await waiting == []
    reader.close()
    reader.close()


async def test_turns_do_not_see_each_other(log: TurnLog) -> None:
    for turn_id, text in ((TURN, "mine"), (OTHER_TURN, "yours")):
        writer = await log.begin(turn_id)
        await writer.append([TextDelta(text)])
        await writer.close()
    assert await read_to_end(log, TURN) == [(1, TextDelta("mine"))]


async def test_a_turn_without_a_log_is_missing(log: TurnLog) -> None:
    with pytest.raises(TurnLogMissingError):
        await log.open_reader(TURN, 0)
    assert await log.read(TURN) == []
    await log.delete(TURN)


async def test_a_deleted_log_is_missing_and_ends_its_readers(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    reader = await log.open_reader(TURN, 0)
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    await log.delete(TURN)
    assert await waiting == []
    reader.close()
    await writer.close()
    with pytest.raises(TurnLogMissingError):
        await log.open_reader(TURN, 0)


async def test_a_writer_goes_on_behind_the_last_event(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    await writer.append([TextDelta("one"), TextDelta("two")])
    await writer.close()
    writer = await log.take_over(TURN, 2)
    assert writer.last_sequence == 2
    await writer.append([TextDelta("three")])
    await writer.close()
    assert [sequence for sequence, _ in await read_to_end(log, TURN)] == [1, 2, 3]


async def test_only_logs_that_nobody_writes_expire(log: TurnLog) -> None:
    busy = await log.begin(TURN)
    ended = await log.begin(OTHER_TURN)
    await busy.append([TextDelta("a")])
    await ended.append([TextDelta("b")])
    await ended.close()
    assert await log.expire(older_than_seconds=3600) == []
    assert await log.expire(older_than_seconds=-1) == [OTHER_TURN]
    assert [event.sequence for event in await log.read(TURN)] == [1]
    await busy.close()


async def test_a_log_is_written_by_one_and_is_there_before_it_is_taken_over(log: TurnLog) -> None:
    with pytest.raises(TurnLogMissingError):
        await log.take_over(TURN, 2)
    writer = await log.begin(TURN)
    with pytest.raises(TurnLogFencedError):
        await log.take_over(TURN, 1)
    await writer.append([TextDelta("mine")])
    await writer.close()
    await writer.close()
    with pytest.raises(OSError, match="closed"):
        await writer.append([TextDelta("late")])
    assert [event.body for event in await log.read(TURN)] == [TextDelta("mine")]


async def test_a_reader_that_is_cancelled_while_it_waits_loses_nothing(log: TurnLog) -> None:
    writer = await log.begin(TURN)
    reader = await log.open_reader(TURN, 0)
    got: list[int] = []
    for number in range(1, 30):
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        appending = asyncio.create_task(writer.append([TextDelta(str(number))]))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
        await appending
        (events,) = await asyncio.gather(waiting, return_exceptions=True)
        if not isinstance(events, BaseException):
            got += [event.sequence for event in events]
    await writer.close()
    while events := await reader.next():
        got += [event.sequence for event in events]
    reader.close()
    assert got == list(range(1, 30))


# The log of files ----------------------------------------------------------------------------------------------------


async def test_a_line_that_was_cut_is_not_read_and_is_dropped_by_the_next_writer(tmp_path: Path) -> None:
    log = FileTurnLog(tmp_path)
    writer = await log.begin(TURN)
    await writer.append([TextDelta("whole"), TextDelta("cut")])
    await writer.close()
    path = tmp_path / f"{TURN}.jsonl"
    os.truncate(path, path.stat().st_size - 3)

    assert await read_to_end(log, TURN) == [(1, TextDelta("whole"))]
    writer = await log.take_over(TURN, 2)
    assert writer.last_sequence == 1
    await writer.append([TextDelta("again")])
    await writer.close()
    assert await read_to_end(log, TURN) == [(1, TextDelta("whole")), (2, TextDelta("again"))]


async def test_a_write_that_fails_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = FileTurnLog(tmp_path)
    writer = await log.begin(TURN)
    await writer.append([TextDelta("kept")])
    # A limit of this process on the size of files stands in for a disk that is full.
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            await writer.append([TextDelta("lost" * 100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    await writer.append([TextDelta("next")])
    await writer.close()
    assert await read_to_end(log, TURN) == [(1, TextDelta("kept")), (2, TextDelta("next"))]


async def test_a_writer_that_comes_late_writes_into_no_other_file(tmp_path: Path) -> None:
    log = FileTurnLog(tmp_path / "turns")
    closed, deleted = await log.begin(TURN), await log.begin(OTHER_TURN)
    await closed.close()
    await log.delete(OTHER_TURN)
    # The system gives the numbers of closed files to the next that are opened.
    others = [tmp_path / "one", tmp_path / "two"]
    descriptors = [os.open(path, os.O_RDWR | os.O_CREAT) for path in others]
    try:
        for writer in (closed, deleted):
            with pytest.raises(OSError, match="closed"):
                await writer.append([TextDelta("late")])
        assert [path.read_bytes() for path in others] == [b"", b""]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


async def test_files_are_for_their_owner_only_and_are_lines_of_json(tmp_path: Path) -> None:
    log = FileTurnLog(tmp_path / "turns")
    writer = await log.begin(TURN)
    await writer.append([TextDelta("hello")])
    await writer.close()
    path = tmp_path / "turns" / f"{TURN}.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text()) == {"sequence": 1, "delta": {"text": "hello"}}


async def test_a_name_that_is_no_turn_reaches_no_file(tmp_path: Path) -> None:
    log = FileTurnLog(tmp_path / "turns")
    (tmp_path / "secret.jsonl").write_text("{}")
    with pytest.raises(TurnLogMissingError):
        await log.open_reader("../secret", 0)


WRITER_THAT_IS_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from parley_chat.adapters.file_turn_log import FileTurnLog
from parley_chat.domain.turn import TextDelta

async def main():
    writer = await FileTurnLog(Path(sys.argv[1])).begin(sys.argv[2])
    for number in range(1, 100_000):
        await writer.append([TextDelta(f"token {number} ")])
        print(number, flush=True)

asyncio.run(main())
"""


async def test_every_event_that_was_kept_survives_kill_9(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER_THAT_IS_KILLED, str(tmp_path), TURN, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    told = 0
    async for line in process.stdout:
        told = int(line)
        if told == 500:
            process.kill()
    await process.wait()
    events = await FileTurnLog(tmp_path).read(TURN)
    assert len(events) >= told >= 500
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[told - 1].body == TextDelta(f"token {told} ")
