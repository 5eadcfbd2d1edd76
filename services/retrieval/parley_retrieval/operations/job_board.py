"""Tells those of this process who wait for jobs that something happened. Other processes hear of it from the ledger."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class JobBoard:
    """Wakes; what happened, everybody looks up."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.work = asyncio.Event()
        """Set when there is a job to take."""
        self.cancels = asyncio.Event()
        """Set when a job was cancelled that somebody may be working at."""

    def changed(self, job_id: str) -> None:
        """Wakes those who watch the job."""
        for event in self._watchers.get(job_id, ()):
            event.set()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job changes, until the block ends. Who waits for it clears it."""
        event = asyncio.Event()
        self._watchers[job_id].add(event)
        try:
            yield event
        finally:
            self._watchers[job_id].discard(event)
            if not self._watchers[job_id]:
                del self._watchers[job_id]


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, at most so long, and clears it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
