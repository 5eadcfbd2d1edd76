"""The spans that this process keeps of a trace, as the contract has them. telemetry.py keeps them; who may see them is chat's to say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from parley.telemetry.v1 import span_pb2

from parley_shared.telemetry import spans_of
from parley_shared.validation import Violations

NAME_MOST = 200
ATTRIBUTES_MOST = 64
VALUE_MOST = 500

_TRACE_ID = re.compile(r"[0-9a-f]{32}")

_KINDS = {
    SpanKind.INTERNAL: span_pb2.SPAN_KIND_INTERNAL,
    SpanKind.SERVER: span_pb2.SPAN_KIND_SERVER,
    SpanKind.CLIENT: span_pb2.SPAN_KIND_CLIENT,
}


def check_trace_id(trace_id: str) -> str:
    """The trace id, which a request named. Raises StatusError (INVALID_ARGUMENT) when it is none."""
    violations = Violations()
    if _TRACE_ID.fullmatch(trace_id) is None:
        violations.add("trace_id", "must be 32 hexadecimal digits in lower case")
    violations.check()
    return trace_id


def kept_spans(trace_id: str, service: str) -> list[span_pb2.Span]:
    """The spans that this process, which is one of the service, still has in memory, in the order in which they ended."""
    return [_pack(span, service) for span in spans_of(trace_id) if span.context is not None]


def _pack(span: ReadableSpan, service: str) -> span_pb2.Span:
    status = span.status.status_code
    return span_pb2.Span(
        span_id=f"{span.context.span_id:016x}" if span.context else "",
        parent_span_id=f"{span.parent.span_id:016x}" if span.parent else "",
        service=service,
        name=span.name[:NAME_MOST],
        kind=_KINDS.get(span.kind, span_pb2.SPAN_KIND_UNSPECIFIED),
        start_time=_time(span.start_time),
        end_time=_time(span.end_time),
        failed=status is StatusCode.ERROR,
        attributes=_texts(span.attributes or {}),
    )


def _time(nanoseconds: int | None) -> Timestamp:
    time = Timestamp()
    time.FromNanoseconds(nanoseconds or 0)
    return time


def _texts(attributes: Mapping[str, object]) -> dict[str, str]:
    return {name: _text(value)[:VALUE_MOST] for name, value in list(attributes.items())[:ATTRIBUTES_MOST]}


def _text(value: object) -> str:
    """A value as people read it: no brackets around what is one of several."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(each) for each in value)
    return str(value)
