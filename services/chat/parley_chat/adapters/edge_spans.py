"""The spans of the edge, which sends them by OTLP as to any collector. Keeps the last ones, by trace, and nothing that is not the edge's.

Not on chat's own port: the edge has no token to send spans with, so they come to an address that only the edge reaches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from parley_chat.domain.traces import Span, SpanKind

TRACES_MOST = 512
SPANS_OF_A_TRACE_MOST = 32
_SPAN_BYTES_MOST = 16 * 1024
_VALUE_MOST = 500
_NAME_MOST = 200
_SERVICE = "parley-edge"

_KINDS = {
    trace_pb2.Span.SPAN_KIND_INTERNAL: SpanKind.INTERNAL,
    trace_pb2.Span.SPAN_KIND_SERVER: SpanKind.SERVER,
    trace_pb2.Span.SPAN_KIND_CLIENT: SpanKind.CLIENT,
}

# Its other attributes hold addresses, which tell how Parley is built.
_SHOWN = frozenset(
    {
        "component",
        "grpc.message",
        "grpc.path",
        "grpc.status_code",
        "http.method",
        "http.protocol",
        "http.status_code",
        "request_size",
        "response_flags",
        "response_size",
        "user_agent",
    }
)


class EdgeSpans(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes the edge's spans. Who listens for them is said where it is put together."""

    def __init__(self) -> None:
        # As they came: those that nobody asks for, which are nearly all, cost no more than that.
        self._traces: OrderedDict[bytes, list[trace_pb2.Span]] = OrderedDict()

    async def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: Any,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Takes some spans."""
        for of_process in request.resource_spans:
            if _service(of_process.resource.attributes) == _SERVICE:
                self._keep(span for scope in of_process.scope_spans for span in scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()

    async def spans_of(self, trace_id: str, user_id: str) -> Sequence[Span]:
        """Those of a trace."""
        del user_id
        return [_unpack(span) for span in self._traces.get(bytes.fromhex(trace_id), ())]

    def _keep(self, spans: Iterable[trace_pb2.Span]) -> None:
        for span in spans:
            if span.ByteSize() > _SPAN_BYTES_MOST:
                continue
            kept = self._traces.get(span.trace_id)
            if kept is None:
                kept = self._traces[span.trace_id] = []
                if len(self._traces) > TRACES_MOST:
                    self._traces.popitem(last=False)
            if len(kept) < SPANS_OF_A_TRACE_MOST:
                copy = trace_pb2.Span()
                # A part of a message keeps all of it in memory.
                copy.CopyFrom(span)
                kept.append(copy)


def _service(attributes: Iterable[common_pb2.KeyValue]) -> str:
    return next((each.value.string_value for each in attributes if each.key == "service.name"), "")


def _unpack(span: trace_pb2.Span) -> Span:
    return Span(
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        service="edge",
        name=span.name[:_NAME_MOST],
        kind=_KINDS.get(span.kind, SpanKind.UNKNOWN),
        start=_time(span.start_time_unix_nano),
        end=_time(span.end_time_unix_nano),
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes={each.key: _text(each.value)[:_VALUE_MOST] for each in span.attributes if each.key in _SHOWN},
    )


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _text(value: common_pb2.AnyValue) -> str:
    kind = value.WhichOneof("value")
    return str(getattr(value, kind)) if kind in {"string_value", "bool_value", "int_value", "double_value"} else ""
