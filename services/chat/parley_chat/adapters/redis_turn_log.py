"""The turn log of many replicas: a stream in Redis for each turn, appended to in one step that knows who may write.

What survives: what Redis keeps. With its append-only file, the kill of a replica loses nothing, and the kill of Redis at most the
last moments, which it had not handed to the operating system; the writer still holds them and appends them again. The outcome of a
turn is in the database.

Memory for a turn is bounded: the newest events, up to `_TAIL_BYTES`, are shared by all readers of the process that writes it; one who
falls behind, and those of turns that others write, read Redis page by page.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_news import RedisTopic
from parley_chat.adapters.redis_turn_scripts import APPEND, BEGIN, DELETE, READ, RELEASE, TAKE_OVER
from parley_chat.adapters.turn_event_lines import decode_line, encode_line
from parley_chat.domain.turn import TurnEvent, TurnEventBody, TurnOutcome
from parley_chat.ports.turn_log import TurnLogFencedError, TurnLogMissingError

logger = logging.getLogger(__name__)

_TURN_ID = re.compile(r"trn_[0-9a-f]{32}")
_TAIL_BYTES = 128 * 1024
_PAGE_EVENTS = 500
_PAGE_BYTES = 64 * 1024
_LOOK_SECONDS = 1.0
"""How long a reader relies on being told of news."""
_CLOSE_PATIENCE_SECONDS = 1.0
_DAY = 24 * 3600 * 1000
_MOST_MILLISECONDS = 8 * _DAY
"""How long a log lives that nobody ends: longer than any turn and any retention."""
_LEAST_MILLISECONDS = 7 * _DAY
"""Below which a running turn's log gets its whole time again; not at each append."""
_EXPIRE_AT_ONCE = 200
_MOST_DOUBTS = 8


class _Tail:
    """What the writer and the readers of a turn share in the process that writes it."""

    def __init__(self, last_sequence: int) -> None:
        self.last_sequence = last_sequence
        self.closed = False
        self.events: deque[tuple[TurnEvent, int]] = deque()
        self.bytes = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, events: Sequence[tuple[TurnEvent, int]]) -> None:
        for event, length in events:
            self.events.append((event, length))
            self.bytes += length
            self.last_sequence = event.sequence
        while self.bytes > _TAIL_BYTES and len(self.events) > 1:
            self.bytes -= self.events.popleft()[1]
        self._wake()

    def after(self, sequence: int) -> list[TurnEvent] | None:
        """Gives the events after a place, or None when the tail does not reach back to it."""
        missing = self.last_sequence - sequence
        if missing <= 0:
            return []
        if missing > len(self.events):
            return None
        return [self.events[place][0] for place in range(-missing, 0)]

    async def changed(self, seconds: float) -> bool:
        """Waits for a change, and says whether there was one in that time."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            done, _ = await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiters.discard(waiter)
        return bool(done)

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of what Redis holds of a turn."""

    last_sequence: int
    """The place of the last event of the whole log."""
    ended: bool
    """Whether that is an outcome."""
    events: list[TurnEvent]


class RedisTurnLogWriter:
    """Appends to one stream, as long as nobody opened it with a higher fence."""

    def __init__(self, log: RedisTurnLog, turn_id: str, fence: int, writer_id: str, last_sequence: int) -> None:
        self._log = log
        self._turn_id = turn_id
        self._fence = fence
        self._id = writer_id
        self._turn = asyncio.Lock()
        self._closed = False
        self._doubts: dict[str, list[tuple[TurnEvent, int]]] = {}
        self.tail = _Tail(last_sequence)

    @property
    def last_sequence(self) -> int:
        """The place of the last event; 0 while there is none."""
        return self.tail.last_sequence

    async def append(self, bodies: Sequence[TurnEventBody]) -> None:
        """Appends the events in one step. While Redis is away, it is tried again; whether a lost try was kept is found out."""
        appending = asyncio.create_task(self._append(bodies))
        try:
            await asyncio.shield(appending)
        except asyncio.CancelledError:
            # What is on its way is kept or not before anybody goes on: the next place depends on it.
            while not appending.done():
                try:
                    await asyncio.wait((appending,))
                except asyncio.CancelledError:
                    continue
            if not appending.cancelled():
                appending.exception()
            raise

    async def _append(self, bodies: Sequence[TurnEventBody]) -> None:
        async with self._turn:
            if self._closed:
                raise OSError("the log of the turn is closed")
            batch = secrets.token_hex(8)
            kept_until = self.last_sequence
            while True:
                events, lines = _numbered(bodies, self.last_sequence + 1)
                again = self.tail.after(kept_until)
                if again is None:
                    raise OSError("Redis lost more of a turn than its writer still holds")
                missing = [encode_line(event.sequence, event.body) for event in again]
                try:
                    answer = await self._send(batch, kept_until, [*missing, *lines], bodies)
                except OSError:
                    # It may have been kept, or still be.
                    if len(self._doubts) >= _MOST_DOUBTS:
                        self._shut()
                    self._doubts[batch] = events
                    raise
                match answer:
                    case [b"ok"]:
                        self._keep(events)
                        return
                    case [b"missing"]:
                        self._shut()
                        raise TurnLogMissingError(self._turn_id)
                    case [b"elsewhere", last, of_batch]:
                        if int(last) == self.last_sequence + len(events) and of_batch.decode() == batch:
                            self._keep(events)
                            return
                        kept_until = self._find_place(int(last), of_batch.decode())
                    case _:
                        self._shut()
                        raise TurnLogFencedError(self._turn_id)

    async def _send(self, batch: str, before: int, lines: list[bytes], bodies: Sequence[TurnEventBody]) -> Any:
        ends = bool(bodies) and isinstance(bodies[-1], TurnOutcome)
        return await self._log.redis.run(
            APPEND,
            self._log.keys(self._turn_id),
            [
                self._log.channel(self._turn_id),
                self._id,
                self._fence,
                before,
                batch,
                _MOST_MILLISECONDS,
                _LEAST_MILLISECONDS,
                self._log.retention_milliseconds if ends else -1,
                *lines,
            ],
        )

    def _find_place(self, last: int, batch: str) -> int:
        """Explains why Redis is at another place than this writer, and gives the place behind which it goes on."""
        doubt = self._doubts.get(batch)
        if doubt and doubt[-1][0].sequence == last:
            # A try that was given up was kept after all.
            self._keep(doubt)
        elif last > self.last_sequence:
            raise OSError("Redis holds events of a turn that its writer did not write")
        else:
            logger.warning(
                "Redis lost the newest events of a turn; they are appended again", extra={"turn_id": self._turn_id}
            )
        return last

    def _keep(self, events: list[tuple[TurnEvent, int]]) -> None:
        # Redis refuses from now on whatever was sent for these places.
        self._doubts.clear()
        self.tail.add(events)

    def _shut(self) -> None:
        self._closed = True
        self._log.let_go(self._turn_id, self)

    async def look(self) -> None:
        """Lets the readers here go when somebody else writes the turn, or nobody can: a writer with nothing to write does not notice."""
        try:
            writer_id = await self._log.redis.command("HGET", self._log.keys(self._turn_id)[0], "writer")
        except OSError:
            # The readers have all there is, and whoever waits longer asks again.
            return
        if writer_id != self._id.encode():
            self._log.let_go(self._turn_id, self)

    async def close(self) -> None:
        """Ends the writing. It may be called twice."""
        self._log.let_go(self._turn_id, self)
        async with self._turn:
            if self._closed:
                return
            self._closed = True
            try:
                await self._log.release(self._turn_id, self._id)
            except OSError as error:
                # It is forgotten some days later than it could be.
                logger.warning(
                    "the log of a turn could not be closed", extra={"turn_id": self._turn_id, "error": str(error)}
                )


class _LocalReader:
    """Follows a writer of this process."""

    def __init__(self, log: RedisTurnLog, turn_id: str, writer: RedisTurnLogWriter, after_sequence: int) -> None:
        self._log = log
        self._turn_id = turn_id
        self._writer = writer
        self._after = after_sequence

    @property
    def end_sequence(self) -> int:
        """The place of the last event that was written."""
        return self._writer.last_sequence

    async def next(self) -> list[TurnEvent]:
        """Gives what is behind the place: from memory when that reaches back, else from Redis."""
        tail = self._writer.tail
        while True:
            events = tail.after(self._after)
            if events is None:
                page = await self._log.read_page(self._turn_id, self._after)
                if page is None:
                    # No writer can go on without it.
                    self._log.let_go(self._turn_id, self._writer)
                    return []
                events = page.events
                if not events:
                    # Redis lost them, and the writer appends them again with its next event.
                    await asyncio.sleep(_LOOK_SECONDS)
                    if not tail.closed:
                        continue
            if events or tail.closed:
                break
            if not await tail.changed(_LOOK_SECONDS):
                await self._writer.look()
        if events:
            self._after = events[-1].sequence
        return events

    def close(self) -> None:
        """Holds nothing."""


class _RemoteReader:
    """Reads a log that nobody of this process writes, whenever there is news of it."""

    def __init__(self, log: RedisTurnLog, turn_id: str, topic: RedisTopic, after_sequence: int, end: int) -> None:
        self._log = log
        self._turn_id = turn_id
        self._topic: RedisTopic | None = topic
        self._after = after_sequence
        self._end = end

    @property
    def end_sequence(self) -> int:
        """The place of the last event when Redis was last asked."""
        return self._end

    async def next(self) -> list[TurnEvent]:
        """Gives the next page, or waits until there is one; nothing when the log is gone."""
        while self._topic is not None:
            # Before the reading: what comes after it is news, and what was before it is read.
            version = self._topic.version
            page = await self._log.read_page(self._turn_id, self._after)
            if page is None:
                break
            self._end = page.last_sequence
            if page.events:
                self._after = page.events[-1].sequence
                return page.events
            if page.ended:
                break
            await self._topic.changed(version, _LOOK_SECONDS)
        return []

    def close(self) -> None:
        """Listens no more."""
        if self._topic is not None:
            self._log.redis.news.leave(self._topic)
            self._topic = None


class RedisTurnLog:
    """Keeps each turn in a hash and a stream; `redis` is not closed with it.

    `retention_seconds` is how long the log of a turn that has ended lives, even when nobody calls `expire`.
    """

    def __init__(self, redis: RedisConnection, *, retention_seconds: float) -> None:
        self.redis = redis
        self.retention_milliseconds = round(retention_seconds * 1000)
        self._writers: dict[str, RedisTurnLogWriter] = {}

    async def close(self) -> None:
        """Gives up what is still written here. Nothing may be written or read any more."""
        await asyncio.gather(*(writer.close() for writer in list(self._writers.values())))

    @property
    def is_shared(self) -> bool:
        """All replicas have one Redis."""
        return True

    def keys(self, turn_id: str) -> tuple[str, str]:
        """The names of a turn's hash and stream. Raises TurnLogMissingError for what is no turn's id."""
        if not _TURN_ID.fullmatch(turn_id):
            raise TurnLogMissingError(turn_id)
        name = f"{self.redis.prefix}:turn:{{{turn_id}}}"
        return f"{name}:log", f"{name}:events"

    def channel(self, turn_id: str) -> str:
        """The name of the channel on which a turn's news is told."""
        return f"{self.redis.prefix}:turn:{{{turn_id}}}:news"

    @property
    def _closed_key(self) -> str:
        """A sorted set of the turns that nobody writes any more, by the time of their closing."""
        return f"{self.redis.prefix}:closed-turns"

    async def begin(self, turn_id: str) -> RedisTurnLogWriter:
        """Makes the hash. Raises TurnLogFencedError when there is one already."""
        writer_id = secrets.token_hex(8)
        if await self.redis.run(BEGIN, self.keys(turn_id), [writer_id, _MOST_MILLISECONDS]) != b"ok":
            raise TurnLogFencedError(turn_id)
        return self._open(turn_id, 1, writer_id, 0)

    async def take_over(self, turn_id: str, fence: int) -> RedisTurnLogWriter:
        """Puts the fence up and opens the log behind its last event."""
        writer_id = secrets.token_hex(8)
        answer = await self.redis.run(TAKE_OVER, self.keys(turn_id), [writer_id, fence])
        if answer == b"missing":
            raise TurnLogMissingError(turn_id)
        if answer == b"fenced":
            raise TurnLogFencedError(turn_id)
        return self._open(turn_id, fence, writer_id, int(answer))

    def _open(self, turn_id: str, fence: int, writer_id: str, last_sequence: int) -> RedisTurnLogWriter:
        if before := self._writers.pop(turn_id, None):
            before.tail.close()
        writer = self._writers[turn_id] = RedisTurnLogWriter(self, turn_id, fence, writer_id, last_sequence)
        return writer

    def let_go(self, turn_id: str, writer: RedisTurnLogWriter) -> None:
        """Ends the writing of a turn in this process; what is in Redis stays."""
        if self._writers.get(turn_id) is writer:
            del self._writers[turn_id]
        writer.tail.close()

    async def release(self, turn_id: str, writer_id: str) -> None:
        """Says in Redis that a writer writes no more. Raises OSError."""
        time = await self.redis.run(RELEASE, self.keys(turn_id), [writer_id], patience_seconds=_CLOSE_PATIENCE_SECONDS)
        if time is not None:
            await self.redis.command(
                "ZADD", self._closed_key, int(time), turn_id, patience_seconds=_CLOSE_PATIENCE_SECONDS
            )

    async def open_reader(self, turn_id: str, after_sequence: int) -> _LocalReader | _RemoteReader:
        """Opens the log to read, or raises TurnLogMissingError."""
        if writer := self._writers.get(turn_id):
            return _LocalReader(self, turn_id, writer, after_sequence)
        last = await self.redis.command("HGET", self.keys(turn_id)[0], "last")
        if last is None:
            raise TurnLogMissingError(turn_id)
        topic = self.redis.news.listen(self.channel(turn_id))
        return _RemoteReader(self, turn_id, topic, after_sequence, int(last))

    async def read_page(self, turn_id: str, after_sequence: int) -> _Page | None:
        """Reads some events after a place; None when there is no log."""
        found = await self.redis.run(READ, self.keys(turn_id), [after_sequence, _PAGE_EVENTS, _PAGE_BYTES])
        if found[0] == b"missing":
            return None
        try:
            return _Page(int(found[0]), found[1] == b"1", [decode_line(line) for line in found[2:]])
        except ValueError as error:
            raise OSError("Redis holds what is no turn event") from error

    async def read(self, turn_id: str) -> list[TurnEvent]:
        """Reads what is there now."""
        events: list[TurnEvent] = []
        while page := await self.read_page(turn_id, events[-1].sequence if events else 0):
            events += page.events
            if not page.events or events[-1].sequence >= page.last_sequence:
                break
        return events

    async def delete(self, turn_id: str) -> None:
        """Removes both keys, and wakes who reads them."""
        if writer := self._writers.get(turn_id):
            self.let_go(turn_id, writer)
        await self.redis.run(DELETE, self.keys(turn_id), [self.channel(turn_id), 0])
        await self.redis.command("ZREM", self._closed_key, turn_id)

    async def expire(self, *, older_than_seconds: float) -> list[str]:
        """Removes the turns that were closed so long ago, and that nobody has opened to write since."""
        seconds, _ = await self.redis.command("TIME")
        before = int(seconds) - older_than_seconds
        expired: list[str] = []
        while True:
            found = await self.redis.command(
                "ZRANGEBYSCORE", self._closed_key, "-inf", f"({before}", "LIMIT", 0, _EXPIRE_AT_ONCE
            )
            for turn_id in [name.decode() for name in found]:
                if await self.redis.run(DELETE, self.keys(turn_id), [self.channel(turn_id), 1]):
                    expired.append(turn_id)
                await self.redis.command("ZREM", self._closed_key, turn_id)
            if len(found) < _EXPIRE_AT_ONCE:
                return expired


def _numbered(bodies: Sequence[TurnEventBody], first: int) -> tuple[list[tuple[TurnEvent, int]], list[bytes]]:
    """Gives events their places, and makes their lines; each event with the length of its line."""
    lines = [encode_line(sequence, body) for sequence, body in enumerate(bodies, first)]
    events = [TurnEvent(sequence, sequence, body) for sequence, body in enumerate(bodies, first)]
    return list(zip(events, map(len, lines), strict=True)), lines
