"""How many calls of one provider run at a time, and how many wait for their turn, first come first served. Knows no provider and makes no
call: who calls takes a turn here first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from parley_inference.domain.errors import ProviderQueueFullError


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How many calls of one provider there may be."""

    max_running: int = 0
    """At a time; 0 when there is no limit."""
    max_waiting: int = 100
    """For their turn. Of no meaning without a limit of those that run."""
    max_wait_seconds: float = 60.0
    """After which a waiting call is sent away."""


class CallQueue:
    """The turns of one provider. For one event loop."""

    def __init__(self, provider: str, limits: CallLimits) -> None:
        self._provider = provider
        self.limits = limits
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def running(self) -> int:
        """How many calls have a turn now."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn and holds it. Raises ProviderQueueFullError when too many wait, or when it takes too long. A call that is
        cancelled while it waits has left the queue at once.
        """
        await self._take()
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self) -> None:
        limits = self.limits
        # Nobody overtakes: while somebody waits, a turn that is free is already theirs.
        if not limits.max_running or (self._running < limits.max_running and not self._waiting):
            self._running += 1
            return
        if len(self._waiting) >= limits.max_waiting:
            raise ProviderQueueFullError(self._provider, f"{self._running} calls run and {len(self._waiting)} wait")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(limits.max_wait_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The turn came in the moment in which nobody wanted it any more.
                self._pass_on()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise ProviderQueueFullError(
                    self._provider, f"waited {limits.max_wait_seconds:g} s for a turn"
                ) from None
            raise

    def _pass_on(self) -> None:
        """Gives a turn that is over to whoever has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            # Of a call that was cancelled a moment ago, the turn is over before it has left the queue.
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1
