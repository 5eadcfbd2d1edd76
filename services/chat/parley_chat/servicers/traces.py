"""TraceService: packs what was gathered of a trace."""

from __future__ import annotations

import grpc
from parley.telemetry.v1 import span_pb2, trace_service_pb2, trace_service_pb2_grpc
from parley_shared.spans import check_trace_id
from parley_shared.tokens import current_principal

from parley_chat.domain.traces import USER_ATTRIBUTE, Span, SpanKind
from parley_chat.operations.traces import Traces

Context = grpc.aio.ServicerContext[object, object]

_KINDS = {
    SpanKind.UNKNOWN: span_pb2.SPAN_KIND_UNSPECIFIED,
    SpanKind.INTERNAL: span_pb2.SPAN_KIND_INTERNAL,
    SpanKind.SERVER: span_pb2.SPAN_KIND_SERVER,
    SpanKind.CLIENT: span_pb2.SPAN_KIND_CLIENT,
}


class TraceServicer(trace_service_pb2_grpc.TraceServiceServicer):
    """Serves traces."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    async def GetTrace(
        self, request: trace_service_pb2.GetTraceRequest, context: Context
    ) -> trace_service_pb2.GetTraceResponse:
        """Gathers one."""
        trace = await self._traces.get(check_trace_id(request.trace_id), current_principal().user_id)
        return trace_service_pb2.GetTraceResponse(
            spans=[_pack(span) for span in trace.spans], missing_services=trace.missing
        )


def _pack(span: Span) -> span_pb2.Span:
    packed = span_pb2.Span(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        service=span.service,
        name=span.name,
        kind=_KINDS[span.kind],
        failed=span.failed,
        # Who asks knows who they are.
        attributes={name: value for name, value in span.attributes.items() if name != USER_ATTRIBUTE},
    )
    packed.start_time.FromDatetime(span.start)
    packed.end_time.FromDatetime(span.end)
    return packed
