"""A beat on which the answers of one provider are read while there are many of them.

A read, and the message that comes of it, costs the same for one token as for three, and the wake-ups of every process on the way are shared
by what moves at the same moment. So while many answers stream, each rests after a read until the next stroke, and all of them go
on together: what came meanwhile waits in the socket's buffer and leaves as one event. The first token never waits, and a few answers never
rest. It decides nothing about when an answer ends, or how long a provider may be silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

FEW_ANSWERS = 8
"""With fewer than this, nobody rests."""
SECONDS_PER_ANSWER = 0.000_75
LONGEST_SECONDS = 0.03
"""6 ms between two strokes with 8 answers, 30 ms from 40 on. A longer beat takes less CPU for a token, and makes tokens so late that
fewer streams can be held: with 50 ms half as many had 99 of 100 tokens within 100 ms (benches/README.md)."""


class ReadingBeat:
    """Strikes while somebody rests. Belongs to one event loop."""

    def __init__(self) -> None:
        self._answers = 0
        self._resting: list[asyncio.Future[None]] = []

    @contextmanager
    def answer(self) -> Iterator[None]:
        """One more answer streams until the block ends."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    async def rest(self) -> None:
        """Waits for the next stroke; not at all while there are few answers."""
        if self._answers < FEW_ANSWERS:
            return
        loop = asyncio.get_running_loop()
        if not self._resting:
            loop.call_later(min(LONGEST_SECONDS, self._answers * SECONDS_PER_ANSWER), self._strike)
        # A future of its own: cancelling one answer must not wake, or cancel, the others.
        waiter = loop.create_future()
        self._resting.append(waiter)
        await waiter

    def _strike(self) -> None:
        resting, self._resting = self._resting, []
        for waiter in resting:
            if not waiter.done():
                waiter.set_result(None)
