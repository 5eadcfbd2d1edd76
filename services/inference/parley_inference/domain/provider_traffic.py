"""The calls of a provider during the last minute, as this process made them: how many, how many failed, how soon the first text came.

Not how the provider does: provider_health.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from parley_inference.domain.errors import (
    InferenceError,
    ProviderError,
    ProviderQueueFullError,
    ProviderRejectedError,
)

RECENT_SECONDS = 60
_FIRSTS_MOST = 100
"""Of one second: more would not change their median by much."""


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """What was counted."""

    window_seconds: int
    """Over how long: `RECENT_SECONDS`, or as long as the process runs; at least 1."""
    calls: int
    """Calls that ended."""
    errors: int
    """Those of them that failed."""
    running: int
    first_token_seconds: float
    """The median time until the first text, of the calls that ended and wrote any; 0 when none did."""


@dataclass(slots=True)
class _Slot:
    """What ended in one second."""

    second: int
    calls: int = 0
    errors: int = 0
    firsts: list[float] = field(default_factory=list)


class ProviderTraffic:
    """The calls of one provider. Costs a call a microsecond, and its tokens nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._running = 0
        self._slots: deque[_Slot] = deque(maxlen=RECENT_SECONDS)

    def begin(self) -> None:
        """A call is made."""
        self._running += 1

    def end(self, error: BaseException | None, first_token_seconds: float | None = None) -> None:
        """It has ended. A refusal of what was asked is an answer, and a call that its caller ended has not failed."""
        self._running -= 1
        second = int(self._clock())
        if not self._slots or self._slots[-1].second != second:
            self._slots.append(_Slot(second))
        slot = self._slots[-1]
        slot.calls += 1
        slot.errors += _is_failure(error)
        if first_token_seconds is not None and len(slot.firsts) < _FIRSTS_MOST:
            slot.firsts.append(first_token_seconds)

    def recent(self) -> RecentCalls:
        """The figures now."""
        now = self._clock()
        slots = [slot for slot in self._slots if slot.second > int(now) - RECENT_SECONDS]
        firsts = [seconds for slot in slots for seconds in slot.firsts]
        return RecentCalls(
            window_seconds=min(RECENT_SECONDS, max(1, int(now - self._began))),
            calls=sum(slot.calls for slot in slots),
            errors=sum(slot.errors for slot in slots),
            running=self._running,
            first_token_seconds=median(firsts) if firsts else 0.0,
        )


def _is_failure(error: BaseException | None) -> bool:
    if isinstance(error, InferenceError):
        return isinstance(error, ProviderError) and not isinstance(
            error, ProviderRejectedError | ProviderQueueFullError
        )
    return isinstance(error, Exception)
