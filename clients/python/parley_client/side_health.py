"""How one side does, feature by feature, judged by what became of the calls to it.

Application errors count as answers: a side that refuses a request is there. It makes no calls.
"""

from __future__ import annotations

from collections.abc import Callable

from parley_client.circuit import Circuit, CircuitPolicy
from parley_client.errors import ClientClosedError, DeadlineExceededError, ParleyError

_SERVICE_UNAVAILABLE = "ERROR_REASON_SERVICE_UNAVAILABLE"


class SideHealth:
    """The circuits of one side, one for each feature that was called there."""

    def __init__(self, policy: CircuitPolicy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}
        self._refused: Circuit = Circuit(policy, clock)
        """The side as a whole: nobody listens there."""
        self.on_change: Callable[[], None] = _nothing
        """Is called after a circuit opened or closed."""

    def is_open(self, feature: str) -> bool:
        """Whether the feature is better called elsewhere."""
        circuit = self._circuits.get(feature)
        return self._refused.is_open or (circuit is not None and circuit.is_open)

    @property
    def any_open(self) -> bool:
        """Whether there is something to probe for."""
        return self._refused.is_open or any(circuit.is_open for circuit in self._circuits.values())

    @property
    def open_features(self) -> frozenset[str]:
        """The called features that are better called elsewhere."""
        return frozenset(feature for feature in self._circuits if self.is_open(feature))

    def answered(self, feature: str) -> None:
        """A call was answered."""
        if self._circuit(feature).is_calm and self._refused.is_calm:
            # Every event of every stream comes by here.
            return

        def count() -> None:
            for circuit in (self._circuit(feature), self._refused):
                circuit.answered()

        self._change(count)

    def failed(self, feature: str, error: ParleyError, *, connected: bool) -> None:
        """A call ended with an error. `connected`: whether there was a connection when it did."""
        if isinstance(error, ClientClosedError):
            return
        if isinstance(error, DeadlineExceededError):
            # The caller's own deadline: says something of the side only when not even a connection came about.
            if not error.reason and not connected:
                self._change(lambda: self._circuit(feature).failed(at_once=False))
            return
        if not error.cut or error.reason not in {"", _SERVICE_UNAVAILABLE}:
            self.answered(feature)
            return

        def count() -> None:
            self._circuit(feature).failed(at_once=error.refused)
            if error.refused:
                self._refused.failed(at_once=True)

        self._change(count)

    def probed(self, *, good: bool) -> None:
        """A probe of the side came back."""

        def count() -> None:
            for circuit in (self._refused, *self._circuits.values()):
                circuit.probed(good=good)

        self._change(count)

    def _circuit(self, feature: str) -> Circuit:
        return self._circuits.setdefault(feature, Circuit(self._policy, self._clock))

    def _change(self, change: Callable[[], object]) -> None:
        before = (self._refused.is_open, self.open_features)
        change()
        if (self._refused.is_open, self.open_features) != before:
            self.on_change()


def _nothing() -> None:
    return
