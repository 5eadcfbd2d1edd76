"""What this process serves just now, by method and by who calls: calls, faults, those that run, and the last minute of them.

It is read in the process, without a collector and at no cost to calls. Not the metrics: those are interceptors/traffic.py's.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

RECENT_SECONDS = 60
"""How far back the recent figures reach."""


@dataclass(frozen=True, slots=True)
class CallerTraffic:
    """The figures of one method and one kind of caller."""

    in_flight: int
    """Calls that run."""
    recent_calls: int
    """Calls that ended in the last `RECENT_SECONDS`."""
    recent_errors: int
    """Those of them that ended with a fault."""


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
    callers: Mapping[str, CallerTraffic] = field(default_factory=dict)
    """The same by the service that calls; "" for users, and for who is not known."""


@dataclass(eq=False, slots=True)
class RunningCall:
    """A call while it is served."""

    caller: Callable[[], str]
    """Tells the service that calls, once that is known; "" for a user."""


@dataclass(slots=True)
class _Slot:
    """What ended in one second."""

    second: int
    calls: int = 0
    errors: int = 0
    seconds: float = 0.0
    callers: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Calls and errors by who called."""

    def add(self, caller: str, seconds: float, *, failed: bool) -> None:
        self.calls += 1
        self.errors += failed
        self.seconds += seconds
        calls, errors = self.callers.get(caller, (0, 0))
        self.callers[caller] = calls + 1, errors + failed


class Traffic:
    """The figures of calls of one kind, as they are kept."""

    __slots__ = ("_calls", "_errors", "_running", "_slots")

    def __init__(self) -> None:
        self._running: set[RunningCall] = set()
        self._calls = 0
        self._errors = 0
        self._slots: deque[_Slot] = deque(maxlen=RECENT_SECONDS)
        """One for each second in which a call ended."""

    def begin(self, caller: Callable[[], str]) -> RunningCall:
        """A call begins. Who calls is asked when somebody looks, and at its end: at its beginning nobody knows."""
        call = RunningCall(caller)
        self._running.add(call)
        return call

    def end(self, call: RunningCall, seconds: float, *, failed: bool) -> None:
        """A call that began has ended after so long."""
        self._running.discard(call)
        self._calls += 1
        self._errors += failed
        second = int(time.monotonic())
        if not self._slots or self._slots[-1].second != second:
            self._slots.append(_Slot(second))
        self._slots[-1].add(call.caller(), seconds, failed=failed)

    def read(self, method: str) -> MethodTraffic:
        """The figures now."""
        oldest = int(time.monotonic()) - RECENT_SECONDS
        recent = [slot for slot in self._slots if slot.second > oldest]
        calls = sum(slot.calls for slot in recent)
        return MethodTraffic(
            method=method,
            in_flight=len(self._running),
            calls=self._calls,
            errors=self._errors,
            recent_calls=calls,
            recent_errors=sum(slot.errors for slot in recent),
            recent_mean_seconds=sum(slot.seconds for slot in recent) / calls if calls else 0.0,
            callers=self._by_caller(recent),
        )

    def _by_caller(self, recent: Sequence[_Slot]) -> dict[str, CallerTraffic]:
        running: dict[str, int] = defaultdict(int)
        for call in self._running:
            running[call.caller()] += 1
        ended: dict[str, tuple[int, int]] = {}
        for slot in recent:
            for caller, (calls, errors) in slot.callers.items():
                before = ended.get(caller, (0, 0))
                ended[caller] = before[0] + calls, before[1] + errors
        return {
            caller: CallerTraffic(running[caller], *ended.get(caller, (0, 0))) for caller in sorted({*running, *ended})
        }


_methods: dict[str, Traffic] = {}
"""Of the process: as many as it serves methods."""


def traffic_of(method: str) -> Traffic:
    """Where the calls of a method are counted."""
    return _methods.setdefault(method, Traffic())


def rpc_traffic() -> Sequence[MethodTraffic]:
    """The figures of every method that was called since the process began, by name."""
    return [traffic.read(method) for method, traffic in sorted(_methods.items())]
