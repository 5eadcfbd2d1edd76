"""A provider that speaks as much of the OpenAI API as a stream needs, never ends an answer, and knows to the millisecond when its client
has gone. It is a fixture of benches, not a model.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Self

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_NOT_HERE = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_LARGEST_HEAD = 2**20


class EndlessProvider:
    """Answers every chat completion with words without end."""

    def __init__(self, tokens_per_second: float) -> None:
        self.base_url = ""
        """What `OPENAI_BASE_URL` is set to; known once it is started."""
        self.streams = 0
        """How many answers it has begun."""
        self.closed = 0
        """How many of their clients have gone."""
        self._pause = 1 / tokens_per_second
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[asyncio.Future[float]] = []

    def next_close(self) -> asyncio.Future[float]:
        """Becomes the moment, of `time.perf_counter()`, at which the next client goes."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_LARGEST_HEAD)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), ":0")
        await reader.readexactly(int(length.partition(":")[2]))
        if not head.startswith("post /v1/chat/completions "):
            writer.write(_NOT_HERE)
            await writer.drain()
            return
        self.streams += 1
        talking = asyncio.create_task(self._talk(writer))
        try:
            # The client sends nothing more: what comes next is its end.
            with contextlib.suppress(ConnectionError):
                await reader.read(1)
            self._note_close(time.perf_counter())
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_HEAD)
        number = 0
        while True:
            number += 1
            choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
            event = {"id": "endless", "object": "chat.completion.chunk", "created": 0, "model": "endless"}
            data = f"data: {json.dumps({**event, 'choices': [choice]})}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(self._pause)

    def _note_close(self, moment: float) -> None:
        self.closed += 1
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(moment)
