"""A caller that speaks HTTP/2 by the frame, without manners: what no library lets one send.

It reads everything that comes and answers nothing by itself, so a window is opened, and a ping answered, only when a test says so.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4

CANCEL: Final = 0x8

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame as it is on the wire."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """The headers in HPACK, each a literal that no table keeps."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def grpc_headers(path: str, *more: tuple[str, str]) -> bytes:
    """The header block of a gRPC call."""
    return header_block(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "parley"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *more,
        ]
    )


def grpc_message(payload: bytes = b"") -> bytes:
    """A message in gRPC's framing."""
    return struct.pack(">BI", 0, len(payload)) + payload


class RawHttp2:
    """One connection. `async with await RawHttp2.open(address) as attacker:`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.frames: Counter[int] = Counter()
        """How many frames of each kind have come."""
        self.data: Counter[int] = Counter()
        """How many bytes of DATA have come on each stream."""
        self.ended: set[int] = set()
        """The streams that the server has ended, or reset."""
        self.reset: dict[int, int] = {}
        """The error codes of those that it has reset."""
        self.goaway: int | None = None
        """The error code of the last GOAWAY."""
        self.closed = False
        """Whether the server has closed the connection."""
        self._reader = reader
        self._writer = writer
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, address: str, settings: Iterable[tuple[int, int]] = ()) -> Self:
        """Connects to host:port and greets; `settings` are (identifier, value)."""
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        payload = b"".join(struct.pack(">HI", *setting) for setting in settings)
        writer.write(_PREFACE + frame(SETTINGS, 0, 0, payload) + frame(SETTINGS, ACK, 0))
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})
        self._writer.transport.abort()

    async def send(self, frames: bytes) -> None:
        """Writes, as fast as the server takes it. What it does not take any more is not sent: `closed` tells."""
        with suppress(ConnectionError):
            self._writer.write(frames)
            await self._writer.drain()

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until what has come fits. TimeoutError when it never does."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def _read(self) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await self._reader.readexactly(9)
                length, (kind, flags, stream) = int.from_bytes(head[:3]), struct.unpack(">BBI", head[3:])
                payload = await self._reader.readexactly(length)
                async with self._changed:
                    self._note(kind, flags, stream, payload)
                    self._changed.notify_all()
        async with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _note(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.frames[kind] += 1
        if kind == DATA:
            self.data[stream] += len(payload)
        if kind in {DATA, HEADERS} and flags & END_STREAM:
            self.ended.add(stream)
        if kind == RST_STREAM:
            self.ended.add(stream)
            self.reset[stream] = int.from_bytes(payload)
        if kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8])


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) < 0x7F:
        return bytes([len(encoded)]) + encoded
    # An integer with a prefix of 7 bits.
    left, written = len(encoded) - 0x7F, b"\x7f"
    while left >= 0x80:
        written += bytes([left & 0x7F | 0x80])
        left >>= 7
    return written + bytes([left]) + encoded
