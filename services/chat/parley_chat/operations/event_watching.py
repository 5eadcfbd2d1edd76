"""Follows a user's events: what was stored, and then each further one as its change is stored.

This process is told of its own changes. Those of other replicas are looked for: one look a moment, for all users who are watched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass

from parley_chat.domain.events import Event, ResourceType
from parley_chat.ports.event_log import EventLog

logger = logging.getLogger(__name__)

PAGE = 200
LOOK_SECONDS = 0.5
"""Between two looks for the changes of other replicas."""
ALIVE_SECONDS = 20.0
"""After how long without an event a watcher is told that the stream lives."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watcher is told."""

    sequence: int
    """The cursor to go on after."""
    event: Event | None
    """None when there is only the cursor to tell, or that the stream lives."""


class EventWatching:
    """Lets events be watched."""

    def __init__(self, log: EventLog, *, has_replicas: bool) -> None:
        self._log = log
        self._has_replicas = has_replicas
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._seen: dict[str, int] = {}
        """Of the users who are watched: how far their watchers have read."""
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look for the changes of other replicas, if there may be any."""
        if self._has_replicas:
            self._looking = asyncio.create_task(self._look(), name="look for events")

    async def close(self) -> None:
        """Stops looking."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def tell(self, user_id: str) -> None:
        """Wakes the watchers of a user."""
        for waiter in self._waiting.pop(user_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def watch(self, user_id: str, after: int, types: Collection[ResourceType]) -> AsyncGenerator[Watched, None]:
        """Tells a user's events behind a place, -1 for the newest, for as long as the caller reads. Begins with the cursor."""
        if after < 0:
            after = (await self._log.newest([user_id])).get(user_id, 0)
        yield Watched(after, None)
        while True:
            # Before the look: what is told between the look and the waiting is not lost.
            news = self._news_of(user_id)
            try:
                page = await self._log.page(user_id, after, PAGE, types)
                for event in page.events:
                    after = event.sequence
                    yield Watched(after, event)
                if len(page.events) == PAGE:
                    continue
                if page.newest > after:
                    after = page.newest
                    yield Watched(after, None)
                self._seen[user_id] = min(after, self._seen.get(user_id, after))
                done, _ = await asyncio.wait((news,), timeout=ALIVE_SECONDS)
                if not done:
                    yield Watched(after, None)
            finally:
                self._forget(user_id, news)

    def _news_of(self, user_id: str) -> asyncio.Future[None]:
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user_id, set()).add(news)
        return news

    def _forget(self, user_id: str, news: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(user_id)
        if waiting is not None:
            waiting.discard(news)
            if not waiting:
                del self._waiting[user_id]
        if user_id not in self._waiting:
            self._seen.pop(user_id, None)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            watched = dict(self._seen)
            if not watched:
                continue
            try:
                newest = await self._log.newest(watched)
            except Exception:
                # The next look tries again; meanwhile events come late.
                logger.warning("other replicas' events could not be looked for", exc_info=True)
                continue
            for user_id, sequence in newest.items():
                if sequence > watched[user_id]:
                    self._seen[user_id] = sequence
                    self.tell(user_id)
