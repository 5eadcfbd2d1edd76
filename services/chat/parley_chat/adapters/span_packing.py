"""Spans of the contract as the domain has them, and back: as replicas of chat tell them to each other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from parley.telemetry.v1 import span_pb2, trace_service_pb2

from parley_chat.domain.traces import Span, SpanKind

_KINDS = {
    span_pb2.SPAN_KIND_INTERNAL: SpanKind.INTERNAL,
    span_pb2.SPAN_KIND_SERVER: SpanKind.SERVER,
    span_pb2.SPAN_KIND_CLIENT: SpanKind.CLIENT,
}
_KINDS_PACKED = {kind: packed for packed, kind in _KINDS.items()}


def pack_spans(spans: Iterable[Span], bytes_most: int) -> bytes:
    """Spans as bytes, whomever they were for. As many as there is place for, the first ones first."""
    told = trace_service_pb2.GetTraceResponse()
    size = 0
    for span in spans:
        packed = span_pb2.Span(
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            service=span.service,
            name=span.name,
            kind=_KINDS_PACKED.get(span.kind, span_pb2.SPAN_KIND_UNSPECIFIED),
            failed=span.failed,
            attributes=span.attributes,
        )
        packed.start_time.FromDatetime(span.start)
        packed.end_time.FromDatetime(span.end)
        # With the few bytes that stand before it.
        size += packed.ByteSize() + 8
        if size > bytes_most:
            break
        told.spans.append(packed)
    return told.SerializeToString()


def unpack_spans(packed: bytes) -> list[Span]:
    """The spans of bytes that `pack_spans` made."""
    return [unpack_span(span) for span in trace_service_pb2.GetTraceResponse.FromString(packed).spans]


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
