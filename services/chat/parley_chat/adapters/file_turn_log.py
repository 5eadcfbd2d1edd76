"""The turn log of one process: a file of lines for each turn, appended to before anybody gets the event.

What survives: a line is written with one `write`, so the operating system holds every event that a reader got, and kill -9 of the process
loses none. Files are not synced: a loss of power may cost the last seconds of a running turn, never its outcome, which is in
the database. A line that was cut (a full disk, a loss of power) is dropped when its file is opened to write.

Appending and opening take microseconds in the page cache and happen on the event loop; reading behind the tail happens
in threads. Memory for a
turn is bounded: the newest events, up to `_TAIL_BYTES`, are shared by all readers that keep up, and one who falls behind reads the file.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from parley_chat.adapters.turn_event_lines import decode_line, encode_line
from parley_chat.domain.turn import TurnEvent, TurnEventBody
from parley_chat.ports.turn_log import TurnLogFencedError, TurnLogMissingError

_TURN_ID = re.compile(r"trn_[0-9a-f]{32}")
_LOCK_FILE = ".lock"
_TAIL_BYTES = 128 * 1024
_READ_BYTES = 64 * 1024
_CHECKPOINT_EVENTS = 256


class TurnLogFolderTakenError(Exception):
    """Another process writes its turns into this folder."""


class _OpenLog:
    """What the writer and the readers of a turn share while it is written."""

    def __init__(self, path: Path) -> None:
        # Never followed through a link, never shared with other users of the machine.
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.size = 0
        self.last_sequence = 0
        self.tail: deque[tuple[TurnEvent, int]] = deque()
        self.tail_bytes = 0
        self.checkpoint_sequences = [0]
        self.checkpoint_offsets = [0]
        self.closed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._load(path)

    def _load(self, path: Path) -> None:
        """Finds the end of the last whole line, and cuts off what is behind it."""
        start = 0
        content = path.read_bytes()
        while (end := content.find(b"\n", start)) >= 0:
            try:
                event = decode_line(content[start : end + 1])
            except ValueError:
                break
            self._count(event.sequence, end + 1 - start)
            start = end + 1
        if self.size < len(content):
            os.ftruncate(self.descriptor, self.size)

    def _count(self, sequence: int, length: int) -> None:
        self.last_sequence = sequence
        self.size += length
        if sequence - self.checkpoint_sequences[-1] >= _CHECKPOINT_EVENTS:
            self.checkpoint_sequences.append(sequence)
            self.checkpoint_offsets.append(self.size)

    def append(self, bodies: Sequence[TurnEventBody]) -> None:
        if self.closed:
            # Its number may be another file's by now.
            raise OSError(errno.EBADF, "the log of the turn is closed")
        sequence = self.last_sequence
        events: list[tuple[TurnEvent, int]] = []
        data = bytearray()
        for body in bodies:
            sequence += 1
            line = encode_line(sequence, body)
            events.append((TurnEvent(sequence, sequence, body), len(line)))
            data += line
        self._write(data)
        for event, length in events:
            self._count(event.sequence, length)
            self.tail.append((event, length))
            self.tail_bytes += length
        while self.tail_bytes > _TAIL_BYTES and len(self.tail) > 1:
            self.tail_bytes -= self.tail.popleft()[1]
        self.wake()

    def _write(self, data: bytearray) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError:
            os.ftruncate(self.descriptor, self.size)
            raise

    def tail_after(self, sequence: int) -> list[TurnEvent] | None:
        """Gives the events after a place, or None when the tail no longer reaches back to it."""
        if sequence >= self.last_sequence:
            return []
        if not self.tail or self.tail[0][0].sequence > sequence + 1:
            return None
        missing = self.last_sequence - sequence
        if missing >= len(self.tail):
            return [event for event, _ in self.tail]
        return [self.tail[place][0] for place in range(-missing, 0)]

    def offset_before(self, sequence: int) -> int:
        """Gives an offset in the file from which a place is not far."""
        return self.checkpoint_offsets[bisect_right(self.checkpoint_sequences, sequence) - 1]

    async def changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self.descriptor)
            self.wake()


class FileTurnLogWriter:
    """Appends to one file."""

    def __init__(self, log: FileTurnLog, turn_id: str, open_log: _OpenLog) -> None:
        self._log = log
        self._turn_id = turn_id
        self._open_log = open_log

    @property
    def last_sequence(self) -> int:
        """The place of the last event; 0 while there is none."""
        return self._open_log.last_sequence

    async def append(self, bodies: Sequence[TurnEventBody]) -> None:
        """Writes the events; readers get them afterwards. All or none: a failed write leaves the file as it was."""
        self._open_log.append(bodies)

    async def close(self) -> None:
        """Lets go of the file. It may be called twice."""
        self._log.let_go(self._turn_id, self._open_log)


class FileTurnLogReader:
    """Reads one file from a place on; follows its writer when there is one."""

    def __init__(self, path: Path, open_log: _OpenLog | None, after_sequence: int) -> None:
        self._open_log = open_log
        self._after = after_sequence
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._offset = open_log.offset_before(after_sequence) if open_log else 0
        self._rest = b""
        self._seen = 0

    @property
    def end_sequence(self) -> int:
        """The place of the last event that the reader has seen or that the writer wrote."""
        return max(self._seen, self._open_log.last_sequence if self._open_log else 0)

    async def next(self) -> list[TurnEvent]:
        """Gives what is behind the place: from memory when that reaches back, else from the file."""
        events = await self._next()
        if events:
            self._after = self._seen = events[-1].sequence
        return events

    async def _next(self) -> list[TurnEvent]:
        log = self._open_log
        if log is None:
            return await asyncio.to_thread(self._read, None)
        while True:
            events = log.tail_after(self._after)
            if events is None:
                events = await asyncio.to_thread(self._read, log.size)
                if not events:
                    raise OSError("the file of a turn lost lines that were written")
            if events or log.closed:
                return events
            await log.changed()

    def _read(self, end: int | None) -> list[TurnEvent]:
        """Reads on until there are events behind the place, or the end, which is also a line that is not whole."""
        if self._open_log and (offset := self._open_log.offset_before(self._after)) > self._offset:
            self._offset, self._rest = offset, b""
        while True:
            want = _READ_BYTES if end is None else min(_READ_BYTES, end - self._offset)
            data = os.pread(self._descriptor, want, self._offset) if want > 0 else b""
            if not data:
                return []
            self._offset += len(data)
            events, self._rest = _decode_lines(self._rest + data)
            if events:
                self._seen = max(self._seen, events[-1].sequence)
            if behind := [event for event in events if event.sequence > self._after]:
                return behind

    def close(self) -> None:
        """Closes the file. It may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FileTurnLog:
    """Keeps each turn in `<folder>/<turn_id>.jsonl`. One process writes a folder at a time, and holds its lock file as long as it lives.

    Raises TurnLogFolderTakenError when another process has the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._open: dict[str, _OpenLog] = {}
        self._lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise TurnLogFolderTakenError(str(folder)) from None

    def close(self) -> None:
        """Gives the folder to the next process. Nothing may be written or read any more."""
        for turn_id, open_log in list(self._open.items()):
            self.let_go(turn_id, open_log)
        os.close(self._lock)

    def _path(self, turn_id: str) -> Path:
        if not _TURN_ID.fullmatch(turn_id):
            raise TurnLogMissingError(turn_id)
        return self._folder / f"{turn_id}.jsonl"

    @property
    def is_shared(self) -> bool:
        """A folder belongs to one process."""
        return False

    async def begin(self, turn_id: str) -> FileTurnLogWriter:
        """Makes the file."""
        return self._open_writer(turn_id, self._path(turn_id))

    async def take_over(self, turn_id: str, fence: int) -> FileTurnLogWriter:
        """Opens the file behind the last whole line. Needs no fence: a process that is dead writes nothing any more."""
        del fence
        path = self._path(turn_id)
        if not path.exists():
            raise TurnLogMissingError(turn_id)
        return self._open_writer(turn_id, path)

    def _open_writer(self, turn_id: str, path: Path) -> FileTurnLogWriter:
        if turn_id in self._open:
            raise TurnLogFencedError(turn_id)
        open_log = _OpenLog(path)
        self._open[turn_id] = open_log
        return FileTurnLogWriter(self, turn_id, open_log)

    def let_go(self, turn_id: str, open_log: _OpenLog) -> None:
        """Ends the writing of a turn; what is in the file stays."""
        if self._open.get(turn_id) is open_log:
            del self._open[turn_id]
        open_log.close()

    async def open_reader(self, turn_id: str, after_sequence: int) -> FileTurnLogReader:
        """Opens the file to read, or raises TurnLogMissingError."""
        try:
            return FileTurnLogReader(self._path(turn_id), self._open.get(turn_id), after_sequence)
        except FileNotFoundError:
            raise TurnLogMissingError(turn_id) from None

    async def read(self, turn_id: str) -> list[TurnEvent]:
        """Reads the whole lines that are there now."""
        return await asyncio.to_thread(_read_whole_lines, self._path(turn_id))

    async def delete(self, turn_id: str) -> None:
        """Removes the file; who reads it meets its end."""
        if open_log := self._open.get(turn_id):
            self.let_go(turn_id, open_log)
        await asyncio.to_thread(self._path(turn_id).unlink, missing_ok=True)

    async def expire(self, *, older_than_seconds: float) -> list[str]:
        """Removes the files that nobody writes and that did not change for so long."""
        busy = frozenset(self._open)
        return await asyncio.to_thread(self._expire, time.time() - older_than_seconds, busy)

    def _expire(self, before: float, busy: frozenset[str]) -> list[str]:
        expired = []
        for path in self._folder.glob("trn_*.jsonl"):
            try:
                is_old = path.stat().st_mtime < before
            except FileNotFoundError:
                continue  # Deleted with its session meanwhile.
            if is_old and path.stem not in busy:
                path.unlink(missing_ok=True)
                expired.append(path.stem)
        return expired


def _read_whole_lines(path: Path) -> list[TurnEvent]:
    try:
        return _decode_lines(path.read_bytes())[0]
    except FileNotFoundError:
        return []


def _decode_lines(content: bytes) -> tuple[list[TurnEvent], bytes]:
    """Reads lines up to the first that is not whole, and gives what follows from there."""
    events: list[TurnEvent] = []
    start = 0
    while (end := content.find(b"\n", start)) >= 0:
        try:
            events.append(decode_line(content[start : end + 1]))
        except ValueError:
            break
        start = end + 1
    return events, content[start:]
