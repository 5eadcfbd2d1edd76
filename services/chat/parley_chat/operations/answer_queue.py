"""The answers of this process that wait for a model, each in its place.

Only the first of them tries whether a model can be reached again; once one takes its request, the next may try. So a model that
comes back is not met by all of them at once. The places that readers are told count the waiting turns of all replicas.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from parley_chat.domain.turn import TurnQueued
from parley_chat.operations.answer import Answer
from parley_chat.ports.conversations import Conversations

logger = logging.getLogger(__name__)

PLACES_SECONDS = 1.0
"""How old a place that a reader is told may be."""

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class _Waiting:
    answer: Answer
    since: datetime
    delay: float = FIRST_DELAY_SECONDS
    try_at: float = 0.0
    place: int = 0
    """As it is now; 0 while it is not known."""
    told: int = 0
    """As the readers know it."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class AnswerQueue:
    """Lets answers wait."""

    def __init__(self, conversations: Conversations, longest: timedelta, now: Callable[[], datetime]) -> None:
        self._conversations = conversations
        self._longest = longest
        self._now = now
        self._waiting: dict[str, _Waiting] = {}
        self._places: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait here."""
        return len(self._waiting)

    async def wait(self, answer: Answer) -> bool:
        """Waits until this answer may try a model. False when it has waited for so long that it is given up.

        After a try, either `leave` or this again.
        """
        turn = answer.turn
        waiting = self._waiting.get(turn.turn_id)
        if waiting is None:
            waiting = await self._enter(answer)
        else:
            waiting.try_at = time.monotonic() + waiting.delay
            waiting.delay = min(2 * waiting.delay, LONGEST_DELAY_SECONDS)
        while self._now() - waiting.since < self._longest:
            await self._tell(waiting)
            pause = waiting.try_at - time.monotonic()
            first = self._first() is waiting
            if first and pause <= 0:
                return True
            waiting.changed.clear()
            try:
                async with asyncio.timeout(max(0.01, pause) if first else None):
                    await waiting.changed.wait()
            except TimeoutError:
                continue
        return False

    async def _enter(self, answer: Answer) -> _Waiting:
        turn = answer.turn
        since = answer.queued_since or self._now()
        answer.begin_wait(since)
        if turn.queue_time is None:
            await self._conversations.queue_turn(turn.turn_id, turn.fence, since)
        waiting = self._waiting[turn.turn_id] = _Waiting(answer, since)
        # The readers know the place before anything is tried.
        await self._look_at_places()
        if self._places is None or self._places.done():
            self._places = asyncio.create_task(self._keep_places(), name="places of waiting answers")
        return waiting

    async def leave(self, answer: Answer) -> None:
        """Takes an answer out of the queue, if it is in it: a model has it, or it is given up."""
        turn = answer.turn
        if self._waiting.pop(turn.turn_id, None) is None:
            return
        answer.end_wait()
        if first := self._first():
            first.try_at = 0.0
            first.changed.set()
        await self._conversations.queue_turn(turn.turn_id, turn.fence, None)

    def drop(self, answer: Answer) -> None:
        """Forgets an answer that this process no longer writes. What is stored of its wait stays."""
        self._waiting.pop(answer.turn.turn_id, None)
        if first := self._first():
            first.changed.set()

    async def close(self) -> None:
        """Looks at no more places. Nobody may wait any more."""
        if self._places:
            self._places.cancel()
            await asyncio.gather(self._places, return_exceptions=True)

    def _first(self) -> _Waiting | None:
        return min(self._waiting.values(), key=lambda one: (one.since, one.answer.turn.turn_id), default=None)

    async def _tell(self, waiting: _Waiting) -> None:
        if waiting.place and waiting.place != waiting.told:
            waiting.told = waiting.place
            words = f"No model can be reached. The answer waits: place {waiting.place}."
            await waiting.answer.log.append([TurnQueued(waiting.place, words)])

    async def _keep_places(self) -> None:
        """Looks at the places while anybody waits."""
        while self._waiting:
            await asyncio.sleep(PLACES_SECONDS)
            try:
                await self._look_at_places()
            except Exception:
                logger.warning("the places of waiting answers could not be read", exc_info=True)

    async def _look_at_places(self) -> None:
        order = await self._conversations.queued_turns()
        places = {turn_id: place for place, turn_id in enumerate(order, start=1)}
        for turn_id, waiting in self._waiting.items():
            place = places.get(turn_id, waiting.place)
            if place != waiting.place:
                waiting.place = place
                waiting.changed.set()
