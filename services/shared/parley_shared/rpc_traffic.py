"""What this process serves just now, by method: calls, faults, those that run, and the last minute of them.

It is read in the process, without a collector and at no cost to calls. Not the metrics: those are interceptors/traffic.py's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

RECENT_SECONDS = 60
"""How far back the recent figures reach."""

_SLOT_SECONDS = 5
_SLOTS = RECENT_SECONDS // _SLOT_SECONDS


@dataclass(frozen=True, slots=True)
class MethodTraffic:
    """The figures of one method."""

    method: str
    """Its full name: "parley.chat.v1.ChatService/SendMessage"."""
    in_flight: int
    """Calls that run; of streams, those that are open."""
    calls: int
    """Calls that ended since the process began."""
    errors: int
    """Those of them that ended with a fault of the server; a refusal is none."""
    recent_calls: int
    """Calls that ended in the last `RECENT_SECONDS`; divided by it, the rate."""
    recent_errors: int
    """Those of them that ended with a fault."""
    recent_mean_seconds: float
    """How long those took on average; 0 when there were none."""


class _Traffic:
    """One method's figures, as they are kept."""

    __slots__ = ("_calls", "_errors", "_in_flight", "_slots")

    def __init__(self) -> None:
        self._in_flight = 0
        self._calls = 0
        self._errors = 0
        # Each has the number of its five seconds, calls, errors, and seconds they took.
        self._slots: list[tuple[int, int, int, float]] = [(-1, 0, 0, 0.0)] * _SLOTS

    def begin(self) -> None:
        """A call begins."""
        self._in_flight += 1

    def end(self, seconds: float, *, failed: bool) -> None:
        """A call that began has ended after so long."""
        self._in_flight -= 1
        self._calls += 1
        self._errors += failed
        number = int(time.monotonic() / _SLOT_SECONDS)
        of_number, calls, errors, total = self._slots[number % _SLOTS]
        if of_number != number:
            calls, errors, total = 0, 0, 0.0
        self._slots[number % _SLOTS] = number, calls + 1, errors + failed, total + seconds

    def read(self, method: str) -> MethodTraffic:
        """The figures now."""
        oldest = int(time.monotonic() / _SLOT_SECONDS) - _SLOTS
        recent = [slot for slot in self._slots if slot[0] > oldest]
        calls = sum(slot[1] for slot in recent)
        return MethodTraffic(
            method=method,
            in_flight=self._in_flight,
            calls=self._calls,
            errors=self._errors,
            recent_calls=calls,
            recent_errors=sum(slot[2] for slot in recent),
            recent_mean_seconds=sum(slot[3] for slot in recent) / calls if calls else 0.0,
        )


_methods: dict[str, _Traffic] = {}
"""Of the process: as many as it serves methods."""


def traffic_of(method: str) -> _Traffic:
    """Where the calls of a method are counted."""
    return _methods.setdefault(method, _Traffic())


def rpc_traffic() -> Sequence[MethodTraffic]:
    """The figures of every method that was called since the process began, by name."""
    return [traffic.read(method) for method, traffic in sorted(_methods.items())]
