"""What the process itself takes: memory, processor time, and how late its event loop is. By OpenTelemetry's names where there are some."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from parley_shared.metering import Gauge, Histogram, Kind, Reading
from parley_shared.rpc_traffic import rpc_traffic

MEMORY = Gauge("process.memory.usage", "By", "Memory of the process that is in use: its resident set.")
CPU_TIME = Gauge("process.cpu.time", "s", "Processor time of the process, by cpu.mode.", Kind.TOTAL)
LOOP_LAG = Histogram(
    "parley.event_loop.lag",
    "s",
    "How late the event loop came to a timer that looks once a second: what every call waits for.",
    (0.005, 0.02, 0.1, 0.5, 2.0),
)

ACTIVE_CALLS = Gauge(
    "parley.rpc.active", "{call}", "Calls that are served just now, by method; of streams, those that are open."
)

_LOOK_SECONDS = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_MEMORY_FILE = Path("/proc/self/statm")


def watch_process() -> Callable[[], None]:
    """Measures from now on; a timer of the running loop and no thread. Returns what ends it."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look(due: float) -> None:
        nonlocal timer
        now = loop.time()
        LOOP_LAG.record(max(0.0, now - due), {})
        timer = loop.call_at(now + _LOOK_SECONDS, look, now + _LOOK_SECONDS)

    timer = loop.call_later(_LOOK_SECONDS, look, loop.time() + _LOOK_SECONDS)
    ends = [MEMORY.watch(_memory), CPU_TIME.watch(_cpu_time), ACTIVE_CALLS.watch(_active_calls)]

    def end() -> None:
        timer.cancel()
        for each in ends:
            each()

    return end


def _memory() -> list[Reading]:
    try:
        resident = int(_MEMORY_FILE.read_text(encoding="ascii").split()[1])
    except OSError:  # not on this system
        return []
    return [(resident * _PAGE_BYTES, {})]


def _active_calls() -> list[Reading]:
    return [(one.in_flight, {"rpc.method": one.method}) for one in rpc_traffic()]


def _cpu_time() -> list[Reading]:
    times = os.times()
    return [(times.user, {"cpu.mode": "user"}), (times.system, {"cpu.mode": "system"})]
