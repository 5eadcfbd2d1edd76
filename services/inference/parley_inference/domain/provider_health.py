"""How a provider does, as this process sees it by its calls. Decides nothing: whether a provider is called is the circuit breaker's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from parley_inference.domain.errors import (
    GenerationTooLongError,
    InferenceError,
    ProviderError,
    ProviderQueueFullError,
    ProviderRejectedError,
)


class ProviderState(StrEnum):
    """How a provider does."""

    UNKNOWN = "unknown"
    """Was not called yet."""
    HEALTHY = "healthy"
    """Its last call went well, or was refused for what it asked."""
    FAILING = "failing"
    """Its last call failed; it is still called."""
    OPEN = "open"
    """It is left alone for a while."""


class Circuit(StrEnum):
    """What the circuit breaker of a provider lets through."""

    CLOSED = "closed"
    """Every call."""
    OPEN = "open"
    """None."""
    HALF_OPEN = "half open"
    """The next call, to see."""


class ProviderHealth:
    """The health of one provider."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        name_of: Callable[[InferenceError], str] = lambda error: type(error).__name__,
    ) -> None:
        """`name_of` gives the reason that an error is told with."""
        self._now = now
        self._name_of = name_of
        self._state = ProviderState.UNKNOWN
        self._alone_until: datetime | None = None
        self._circuit = Circuit.CLOSED
        self.changed_at: datetime | None = None
        """When the state changed last, UTC; None while it is not known."""
        self.last_failure_reason = ""
        """Of the last call that failed; empty when none did."""

    @property
    def state(self) -> ProviderState:
        """How it does. Once its while is over, it is not left alone any more, also when nobody has called it since."""
        if self._state is ProviderState.OPEN and self._alone_until is not None and self._now() >= self._alone_until:
            self._state, self.changed_at = ProviderState.FAILING, self._alone_until
        return self._state

    @property
    def circuit(self) -> Circuit:
        """What its circuit breaker lets through now. Once its while is over, an open one lets the next call through."""
        if self._circuit is Circuit.OPEN and self._alone_until is not None and self._now() >= self._alone_until:
            return Circuit.HALF_OPEN
        return self._circuit

    @property
    def retry_time(self) -> datetime | None:
        """When it is tried again, UTC; None unless its circuit is open."""
        return self._alone_until if self.circuit is Circuit.OPEN else None

    def went_well(self) -> None:
        """A call was answered. Of a provider that is left alone, the answers of calls from before say nothing."""
        if self.state is not ProviderState.OPEN:
            self._change(ProviderState.HEALTHY)

    def failed(self, error: InferenceError) -> None:
        """A call failed. A refusal of what was asked is an answer; and what we did ourselves says nothing about the provider."""
        if isinstance(error, ProviderQueueFullError | GenerationTooLongError):
            return
        if not isinstance(error, ProviderError) or isinstance(error, ProviderRejectedError):
            self.went_well()
            return
        self.last_failure_reason = self._name_of(error)
        if self.state is not ProviderState.OPEN:
            self._change(ProviderState.FAILING)

    def left_alone(self, seconds: float) -> None:
        """Its circuit breaker has opened for so long."""
        self._alone_until = self._now() + timedelta(seconds=seconds)
        self._circuit = Circuit.OPEN
        self._change(ProviderState.OPEN)

    def tried_again(self) -> None:
        """Its circuit breaker lets a call through, to see."""
        self._circuit = Circuit.HALF_OPEN
        self._change(ProviderState.FAILING)

    def called_again(self) -> None:
        """Its circuit breaker has closed."""
        self._circuit = Circuit.CLOSED

    def _change(self, state: ProviderState) -> None:
        if state is not self.state:
            self._state = state
            self.changed_at = self._now()
