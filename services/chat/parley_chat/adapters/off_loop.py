"""Runs what asks the network and reckons much in between on an event loop of its own, in a thread: the service's loop is not held up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_CLOSING_SECONDS = 5.0


class OffLoop:
    """A few threads, each with the loop of what it runs."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs it to its end. Cancelled, it cancels it there, and waits a little for that."""
        running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []
        cancelled = False

        async def main() -> T:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine that runs has one.
            running.append((asyncio.get_running_loop(), task))
            if cancelled:
                raise asyncio.CancelledError
            return await work()

        future = asyncio.get_running_loop().run_in_executor(self._threads, lambda: asyncio.run(main()))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            cancelled = True
            for loop, task in running:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(task.cancel)
            await asyncio.wait([future], timeout=_CLOSING_SECONDS)
            if future.done() and not future.cancelled():
                future.exception()  # It is told to nobody: who asked is gone.
            raise

    def close(self) -> None:
        """Waits for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
