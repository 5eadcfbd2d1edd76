"""Writes that are finished once they are begun, also when whoever asked has gone: what is half done helps nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class BegunWrites:
    """The writes of one use case that are under way."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, write: Coroutine[Any, Any, T]) -> T:
        """Does a write and gives its result. A caller who is cancelled meanwhile leaves; the write goes on to its end."""
        task = asyncio.get_running_loop().create_task(write)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def settle(self) -> None:
        """Returns when no write is under way."""
        while self._running:
            await asyncio.wait(self._running)


def _log_failure(task: asyncio.Task[Any]) -> None:
    """Nobody else hears of it any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("a write whose caller has gone failed", exc_info=error)
