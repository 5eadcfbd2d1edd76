"""How often, and after how long, a call is made again that failed before its first token. Knows no clock: it is given."""

from __future__ import annotations

from collections.abc import Callable

from parley_inference.domain.errors import ProviderError, ProviderRateLimitedError, ProviderUnavailableError

MOST_RETRIES = 2
"""Of one model in one generation."""
MOST_PATIENCE_SECONDS = 10.0
"""A provider that asks for a longer wait than this is not tried again by itself: whoever called is told how long."""
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 4.0

RETRIES_PER_CALL = 0.2
MOST_SAVED_RETRIES = 10.0
FLOOR_RETRIES = 3.0
"""So that somebody who is alone with a provider has retries too."""
FLOOR_PER_SECOND = 0.1


class RetryBudget:
    """Retries of one provider: a fifth of its calls, and a few more in quiet times, so that retries never bury a provider in trouble."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._saved = FLOOR_RETRIES
        self._filled_at = clock()

    def called(self) -> None:
        """A call is made that is no retry."""
        self._saved = min(self._saved + RETRIES_PER_CALL, MOST_SAVED_RETRIES)

    def take(self) -> bool:
        """Takes a retry out of the budget; False when none is left."""
        now = self._clock()
        if self._saved < FLOOR_RETRIES:
            self._saved = min(self._saved + (now - self._filled_at) * FLOOR_PER_SECOND, FLOOR_RETRIES)
        self._filled_at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


def delay_before_retry(error: ProviderError, retries: int, random: Callable[[], float]) -> float | None:
    """Seconds to wait before the next try, after so many retries; None when there is to be none.

    Twice as long each time and anything between nothing and that (`random` gives 0 to 1), so that many callers do not come back
    together; never sooner than the provider asked for.
    """
    if retries >= MOST_RETRIES or not isinstance(error, ProviderUnavailableError | ProviderRateLimitedError):
        return None
    asked = error.retry_after_seconds or 0.0
    if asked > MOST_PATIENCE_SECONDS:
        return None
    return asked + random() * min(FIRST_DELAY_SECONDS * (1 << retries), LONGEST_DELAY_SECONDS)
