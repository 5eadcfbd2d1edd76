"""Tells those of this process who wait for batches that something happened. Other processes hear of it from the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class BatchBoard:
    """Wakes; what happened, everybody looks up."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.work = asyncio.Event()
        """Set when there may be a line to take."""
        self.claims = asyncio.Event()
        """Set when a batch has ended of which this process may be writing lines."""

    def changed(self, batch_id: str) -> None:
        """Wakes those who watch the batch."""
        for event in self._watchers.get(batch_id, ()):
            event.set()

    def ended_by_user(self, batch_id: str) -> None:
        """The same, and whoever writes for it."""
        self.claims.set()
        self.changed(batch_id)

    @contextmanager
    def watching(self, batch_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the batch changes, until the block ends. Who waits for it clears it."""
        event = asyncio.Event()
        self._watchers[batch_id].add(event)
        try:
            yield event
        finally:
            self._watchers[batch_id].discard(event)
            if not self._watchers[batch_id]:
                del self._watchers[batch_id]


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, at most so long, and clears it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
