"""When a provider that keeps failing is left alone, and when it is tried again. Knows no clock and no provider: both are given."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

FAILURES_TO_OPEN = 5
"""One after the other, without an answer between them."""
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
PROBE_SECONDS = 1.0
"""How long to wait, roughly, while another call finds out whether the provider is back."""


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing."""
    HALF_OPEN = "half open"
    """One call, the probe."""


class CircuitBreaker:
    """The breaker of one provider: `admit` each call, and tell its Admission how it went.

    Opens after FAILURES_TO_OPEN failures. Every pause is twice as long as the one before, until a call is answered to its end.
    """

    def __init__(self, clock: Callable[[], float], *, on_change: Callable[[BreakerState], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._open_until = 0.0
        self._probe: Admission | None = None

    @property
    def state(self) -> BreakerState:
        """What it lets through. An open one becomes half open with the next call after its pause."""
        return self._state

    def admit(self) -> Admission | None:
        """Lets a call through, or does not: then `retry_after_seconds` tells when to come back."""
        if self._state is BreakerState.OPEN and self._clock() >= self._open_until:
            self._change(BreakerState.HALF_OPEN)
        if self._state is BreakerState.CLOSED:
            return Admission(self)
        if self._state is BreakerState.HALF_OPEN and self._probe is None:
            self._probe = Admission(self)
            return self._probe
        return None

    @property
    def retry_after_seconds(self) -> float:
        """How long a call that was not let through had better wait."""
        return max(self._open_until - self._clock(), PROBE_SECONDS)

    def answered(self, admission: Admission) -> None:
        """The provider said something: it is there."""
        if admission is self._probe:
            self._probe = None
            self._failures = 0
            self._change(BreakerState.CLOSED)

    def succeeded(self, admission: Admission) -> None:
        """The provider answered to the end."""
        self.answered(admission)
        if self._state is BreakerState.CLOSED:
            self._failures = 0
            self._pause = FIRST_PAUSE_SECONDS

    def failed(self, admission: Admission) -> None:
        """The provider failed. Of calls that were let through before it opened, nothing more is learned."""
        is_probe = admission is self._probe
        if is_probe:
            self._probe = None
        elif self._state is not BreakerState.CLOSED:
            return
        self._failures += 1
        if is_probe or self._failures >= FAILURES_TO_OPEN:
            self._open_until = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self._change(BreakerState.OPEN)

    def left(self, admission: Admission) -> None:
        """The call ended and nobody learned how the provider is: the next may be the probe."""
        if admission is self._probe:
            self._probe = None

    def _change(self, state: BreakerState) -> None:
        if state is not self._state:
            self._state = state
            self._on_change(state)


class Admission:
    """One call that was let through."""

    __slots__ = ("_breaker",)

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    def answered(self) -> None:
        """The provider said something, be it a refusal."""
        self._breaker.answered(self)

    def succeeded(self) -> None:
        """The provider answered to the end."""
        self._breaker.succeeded(self)

    def failed(self) -> None:
        """The provider could not be reached, failed, stalled or broke off."""
        self._breaker.failed(self)

    def left(self) -> None:
        """The call is over. Without one of the others before it, nothing is known of the provider."""
        self._breaker.left(self)
