"""Whether one feature of one side is worth calling: a small circuit, which opens on failures and closes on good probes.

It counts what it is told and looks at a clock. It calls nothing, and knows no gRPC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A side that fails again this soon after it was taken back has not recovered: it then has to stay good for longer.
_SETTLED_SECONDS = 60.0
_LONGEST_STAY_SECONDS = 300.0


@dataclass(frozen=True)
class CircuitPolicy:
    """When a circuit opens and closes. The bounds are those of `Failover`, which documents them."""

    failures: int = 3
    successes: int = 2
    stay_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.failures < 1 or self.successes < 1:
            raise ValueError("failures and successes must be at least 1")
        if self.stay_seconds < 0:
            raise ValueError("stay_seconds must not be negative")


class Circuit:
    """Closed: calls go there. Open: they go elsewhere, if there is an elsewhere, until enough probes were good."""

    def __init__(self, policy: CircuitPolicy, clock: Callable[[], float]) -> None:
        """`clock`: seconds of anything that only grows."""
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._good = 0
        self._opened_at: float | None = None
        self._closed_at: float | None = None
        self._stay_seconds = policy.stay_seconds

    @property
    def is_open(self) -> bool:
        """Whether it is better not called."""
        return self._opened_at is not None

    @property
    def is_calm(self) -> bool:
        """Whether it is closed and has nothing to forget."""
        return self._opened_at is None and self._failures == 0

    def answered(self) -> None:
        """A call was answered, whatever the answer: the side is there."""
        if self.is_open:
            self._probed_good()
        else:
            self._failures = 0

    def failed(self, *, at_once: bool) -> None:
        """A call failed for a reason that is the side's. `at_once`: one such failure is enough."""
        if self.is_open:
            self._good = 0
            return
        self._failures += 1
        if at_once or self._failures >= self._policy.failures:
            self._open()

    def probed(self, *, good: bool) -> None:
        """A probe came back. Means nothing to a closed circuit: only calls open one."""
        if not self.is_open:
            return
        if good:
            self._probed_good()
        else:
            self._good = 0

    def _open(self) -> None:
        now = self._clock()
        relapsed = self._closed_at is not None and now - self._closed_at < _SETTLED_SECONDS
        self._stay_seconds = (
            min(self._stay_seconds * 2, max(_LONGEST_STAY_SECONDS, self._policy.stay_seconds))
            if relapsed
            else self._policy.stay_seconds
        )
        self._opened_at, self._failures, self._good = now, 0, 0

    def _probed_good(self) -> None:
        self._good += 1
        now = self._clock()
        if (
            self._opened_at is not None
            and self._good >= self._policy.successes
            and now - self._opened_at >= self._stay_seconds
        ):
            self._opened_at, self._closed_at, self._failures = None, now, 0
