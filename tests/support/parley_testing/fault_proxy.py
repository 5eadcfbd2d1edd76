"""A TCP relay that cuts each of its connections after so many bytes of what comes back: between two events, in the middle of one, or in the
middle of a frame. It understands nothing of what it carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

Budget = Callable[[], int | None]
"""After how many bytes the next connection is cut; None for never."""


class FaultProxy:
    """Relays to one port of this machine. `port` is where it listens."""

    def __init__(self, to_port: int, budget: Budget) -> None:
        self.port = 0
        self.cuts = 0
        """How many connections were cut."""
        self._to_port = to_port
        self._budget = budget
        self._tasks: set[asyncio.Task[None]] = set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        sending = asyncio.ensure_future(_copy(reader, far_writer))
        receiving = asyncio.ensure_future(self._copy_until_cut(far_reader, writer))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before anything is awaited: this task may be cancelled once more.
            far_writer.transport.abort()
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _copy_until_cut(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._budget()
        while data := await reader.read(65536):
            if left is not None and len(data) >= left:
                writer.write(data[:left])
                # An orderly end in half of the cases, so that the bytes before it certainly arrive; else a reset.
                if left % 2:
                    writer.close()
                    await writer.wait_closed()
                self.cuts += 1
                return
            left = None if left is None else left - len(data)
            writer.write(data)
            await writer.drain()

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def fault_proxy(to_port: int, budget: Budget) -> AsyncIterator[FaultProxy]:
    """A relay to a port of this machine, for the length of the block."""
    proxy = FaultProxy(to_port, budget)
    server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy._end()
        await server.wait_closed()
