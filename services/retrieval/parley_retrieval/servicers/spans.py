"""SpanService: what this process did for a trace, for chat to show. Whose trace it is, is chat's to know."""

from __future__ import annotations

from typing import Any

import grpc
from parley.retrieval.v1 import span_service_pb2, span_service_pb2_grpc
from parley_shared.spans import check_trace_id, kept_spans


class SpanServicer(span_service_pb2_grpc.SpanServiceServicer):
    """Serves the spans that are in memory."""

    async def ListSpans(
        self, request: span_service_pb2.ListSpansRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> span_service_pb2.ListSpansResponse:
        """Lists those of a trace."""
        return span_service_pb2.ListSpansResponse(spans=kept_spans(check_trace_id(request.trace_id), "retrieval"))
