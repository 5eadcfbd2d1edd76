"""What this process tells of itself for the map of the system: who it is, and the last minute of what it serves, by caller.

Only counts, read in the process. Who watches over hours collects the metrics instead: metering.py.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parley.system.v1 import traffic_pb2

from parley_shared.rpc_traffic import RECENT_SECONDS, Traffic, rpc_traffic

PROCESS_ID = secrets.token_hex(4)
"""Names this process among those of its service."""

_STARTED = time.monotonic()


@dataclass(frozen=True, slots=True)
class Figures:
    """Calls of the last `window_seconds()`."""

    calls: int = 0
    errors: int = 0
    running: int = 0


def window_seconds() -> int:
    """How far back the figures reach: 60, or as long as the process runs; at least 1."""
    return min(RECENT_SECONDS, max(1, int(time.monotonic() - _STARTED)))


def served(is_counted: Callable[[str], bool]) -> dict[str, Figures]:
    """What was served, by the service that called; "" for users. Methods are asked for as "parley.chat.v1.ChatService/SendMessage"."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for traffic in rpc_traffic():
        if is_counted(traffic.method):
            for service, caller in traffic.callers.items():
                of_service = sums[service]
                of_service[0] += caller.recent_calls
                of_service[1] += caller.recent_errors
                of_service[2] += caller.in_flight
    return {service: Figures(*sums[service]) for service in sorted(sums)}


def transactions(traffic: Traffic) -> Figures:
    """What was done with a database."""
    figures = traffic.read("")
    return Figures(figures.recent_calls, figures.recent_errors, figures.in_flight)


def pack_process(
    is_counted: Callable[[str], bool], stores: Sequence[traffic_pb2.StoreFigures] = ()
) -> traffic_pb2.ProcessFigures:
    """What the process tells another one."""
    return traffic_pb2.ProcessFigures(
        process_id=PROCESS_ID,
        callers=[
            traffic_pb2.CallerTraffic(service=service, traffic=pack_figures(figures))
            for service, figures in served(is_counted).items()
        ],
        stores=stores,
    )


def pack_figures(figures: Figures) -> traffic_pb2.Traffic:
    """The figures as the contract has them."""
    return traffic_pb2.Traffic(
        window_seconds=window_seconds(),
        call_count=figures.calls,
        error_count=figures.errors,
        running_count=figures.running,
    )
