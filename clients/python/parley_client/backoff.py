"""How long to wait before something is tried again: exponential backoff with full jitter. It waits for nothing itself."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """How often something is tried, and how long the pauses are."""

    attempts: int = 4
    """How many times in a row a thing is tried without any progress, the first time included. At least 1."""
    first_seconds: float = 0.1
    """The longest first pause. Each further one may be twice as long; the pause itself is drawn between 0 and that."""
    most_seconds: float = 5.0
    """No drawn pause is longer than this."""
    most_asked_seconds: float = 30.0
    """The longest pause that a server may ask for (RetryInfo, `retry-after`). When it asks for more, the error is raised."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if min(self.first_seconds, self.most_seconds, self.most_asked_seconds) < 0:
            raise ValueError("pauses must not be negative")

    def pause_seconds(self, failures: int, asked_seconds: float | None = None) -> float | None:
        """How long to wait after that many failures in a row (from 1); None when it should not be tried again."""
        if failures >= self.attempts:
            return None
        # The exponent is bounded: nobody waits 2**1000 seconds, and floats end there.
        longest = min(self.most_seconds, self.first_seconds * 2 ** min(failures - 1, 60))
        drawn = random.uniform(0, longest)  # noqa: S311 - spreads clients in time; guards no secret
        if asked_seconds is None:
            return drawn
        if asked_seconds > self.most_asked_seconds:
            return None
        return asked_seconds + drawn


UNARY_CALLS = Backoff()
"""Four attempts within about a second: a restart of one replica is not seen."""

STREAMS = Backoff(attempts=10, first_seconds=0.2)
"""Ten attempts in a row without an event, about 15 seconds: a restart of the whole of Parley is not seen."""
