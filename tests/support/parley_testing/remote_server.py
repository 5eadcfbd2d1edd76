"""A web server of somebody else's, on a real socket, that answers as a test says: calendar feeds, receivers of webhooks.

    async with RemoteServer(lambda asked: Answer(200, b"hello")) as remote:
        remote.url("/feed")                      # "http://127.0.0.1:41234/feed"
        remote.asked                             # every request that came, whole: method, target, headers, body

It writes HTTP by hand, because what it is for is misbehaving: stalling, breaking off, sending what is no HTTP, decompressing to too much.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Self

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    has_length: bool = True
    """Whether the length is told; else the end of the connection is the end of the body."""
    stalls: bool = False
    """Whether it never sends the last byte of the body, and the head neither when there is none."""
    raw: bytes | None = None
    """These bytes and the end of the connection, in place of all else."""


Answering = Callable[[Asked], Answer | Awaitable[Answer]]


class RemoteServer:
    """The server. Plain HTTP, or TLS with a context that has a certificate."""

    def __init__(self, answering: Answering, tls: ssl.SSLContext | None = None) -> None:
        self.answering = answering
        self.asked: list[Asked] = []
        self.connections = 0
        self._tls = tls
        self._news = asyncio.Condition()
        self._handling: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server
        self._server.close()
        for task in self._handling:
            task.cancel()
        if self._handling:
            await asyncio.wait(self._handling)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server
        return int(self._server.sockets[0].getsockname()[1])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition over what was asked is met."""
        async with asyncio.timeout(WAIT_SECONDS), self._news:
            await self._news.wait_for(condition)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._handling.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while await self._answer(reader, writer):
                    pass
        except asyncio.CancelledError:
            # The test is over. asyncio's own callback would call it an error.
            pass
        finally:
            self._handling.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; gives whether another may follow."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.split(":", 1) for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(method, target, headers, body)
        async with self._news:
            self.asked.append(asked)
            self._news.notify_all()
        given = self.answering(asked)
        answer = await given if isawaitable(given) else given
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        head = [f"HTTP/1.1 {answer.status} Whatever", *(f"{name}: {value}" for name, value in answer.headers.items())]
        if answer.has_length:
            head.append(f"Content-Length: {len(answer.body)}")
        else:
            head.append("Connection: close")
        whole = "\r\n".join((*head, "", "")).encode("latin-1") + answer.body
        writer.write(whole[:-1] if answer.stalls else whole)
        await writer.drain()
        if answer.stalls:
            await asyncio.Event().wait()
        return answer.has_length
