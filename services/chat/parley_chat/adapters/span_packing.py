"""Spans of the contract as the domain has them."""

from __future__ import annotations

from datetime import UTC

from parley.telemetry.v1 import span_pb2

from parley_chat.domain.traces import Span, SpanKind

_KINDS = {
    span_pb2.SPAN_KIND_INTERNAL: SpanKind.INTERNAL,
    span_pb2.SPAN_KIND_SERVER: SpanKind.SERVER,
    span_pb2.SPAN_KIND_CLIENT: SpanKind.CLIENT,
}


def unpack_span(span: span_pb2.Span) -> Span:
    """A span as the domain has it."""
    return Span(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        service=span.service,
        name=span.name,
        kind=_KINDS.get(span.kind, SpanKind.UNKNOWN),
        start=span.start_time.ToDatetime(UTC),
        end=span.end_time.ToDatetime(UTC),
        failed=span.failed,
        attributes=dict(span.attributes),
    )
