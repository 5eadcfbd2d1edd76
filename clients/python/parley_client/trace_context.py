"""The W3C trace context of the caller, when it has one.

OpenTelemetry is no dependency: a process in which nobody imported it has no span that could be carried on.
"""

from __future__ import annotations

import sys


def trace_context() -> tuple[tuple[str, str], ...]:
    """The metadata that joins a call to the caller's trace: `traceparent`, `tracestate`, `baggage`. Empty when there is none."""
    if "opentelemetry" not in sys.modules:
        return ()
    try:
        from opentelemetry.propagate import inject  # noqa: PLC0415 - only where OpenTelemetry is in use
    except ImportError:
        return ()
    carrier: dict[str, str] = {}
    inject(carrier)
    return tuple((key.lower(), value) for key, value in carrier.items())
