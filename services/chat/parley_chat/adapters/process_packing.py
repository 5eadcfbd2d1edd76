"""What other services tell of themselves, unpacked."""

from __future__ import annotations

from parley.system.v1 import traffic_pb2

from parley_chat.domain.traffic import ProcessReport, StoreReport, Traffic


def process_from(figures: traffic_pb2.ProcessFigures) -> ProcessReport:
    """What a process said."""
    return ProcessReport(
        figures.process_id,
        {caller.service: traffic_from(caller.traffic) for caller in figures.callers},
        tuple(
            StoreReport(store.name, store.kind, traffic_from(store.traffic) if store.HasField("traffic") else None)
            for store in figures.stores
        ),
    )


def traffic_from(traffic: traffic_pb2.Traffic) -> Traffic:
    """Figures of calls."""
    return Traffic(
        window_seconds=max(1, traffic.window_seconds),
        calls=traffic.call_count,
        errors=traffic.error_count,
        running=traffic.running_count,
        first_token_ms=traffic.time_to_first_token_ms,
    )
