"""Stages of turns as OpenTelemetry spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context

from opentelemetry import context as otel_context
from opentelemetry.trace import Span
from parley_shared.logs import log_facts
from parley_shared.telemetry import current_trace_id, span, untraced

_LOGGED = {"parley.turn.id": "turn_id", "parley.session.id": "session_id"}


class OtelStage:
    """A span that facts are added to."""

    def __init__(self, stage_span: Span) -> None:
        self._span = stage_span

    def record(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        """Sets attributes of the span."""
        self._span.set_attributes(attributes)


class OtelTracing:
    """Traces with the process's tracer provider."""

    @contextmanager
    def stage(self, name: str, attributes: Mapping[str, str | int | float | bool] | None = None) -> Iterator[OtelStage]:
        """Opens a span around what happens inside."""
        # Of a turn, every line of the log tells which it was.
        known = {fact: str(attributes[key]) for key, fact in _LOGGED.items() if attributes and key in attributes}
        with log_facts(**known) if known else nullcontext(), span(name, attributes) as stage_span:
            yield OtelStage(stage_span)

    def untraced(self) -> AbstractContextManager[None]:
        """Opens no span around what happens inside, and lets nobody else."""
        return untraced()

    def current_trace_id(self) -> str:
        """Names the current trace, or nothing."""
        return current_trace_id()

    def detached_context(self) -> Context:
        """Makes a context in which only the current span is known."""
        current = otel_context.get_current()
        context = Context()
        context.run(otel_context.attach, current)
        return context
