"""`Tracing` with OpenTelemetry spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import Span
from parley_shared.telemetry import span


class OtelStage:
    """A span that facts are added to."""

    def __init__(self, stage_span: Span) -> None:
        """The span belongs to the caller."""
        self._span = stage_span

    def record(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        """See `Stage`."""
        self._span.set_attributes(attributes)


class OtelTracing:
    """Traces with the process's tracer provider."""

    @contextmanager
    def stage(self, name: str, attributes: Mapping[str, str | int | float | bool] | None = None) -> Iterator[OtelStage]:
        """See `Tracing`."""
        with span(name, attributes) as stage_span:
            yield OtelStage(stage_span)
