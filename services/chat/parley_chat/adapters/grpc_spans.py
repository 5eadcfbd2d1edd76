"""The spans that inference and retrieval keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from parley.inference.v1 import span_service_pb2 as inference_pb2
from parley.inference.v1 import span_service_pb2_grpc as inference_grpc
from parley.retrieval.v1 import span_service_pb2 as retrieval_pb2
from parley.retrieval.v1 import span_service_pb2_grpc as retrieval_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.span_packing import unpack_span
from parley_chat.domain.traces import Span
from parley_chat.ports.span_source import SpansUnavailableError


class GrpcSpans:
    """Asks through a channel, in the name of the user."""

    def __init__(self, call: Any, request: Callable[[str], object], token_for: Callable[[str], str]) -> None:
        self._call = call
        self._request = request
        self._token_for = token_for

    @classmethod
    def of_inference(cls, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> GrpcSpans:
        """Those of inference."""
        stub = inference_grpc.SpanServiceStub(channel)
        return cls(stub.ListSpans, lambda trace_id: inference_pb2.ListSpansRequest(trace_id=trace_id), token_for)

    @classmethod
    def of_retrieval(cls, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> GrpcSpans:
        """Those of retrieval."""
        stub = retrieval_grpc.SpanServiceStub(channel)
        return cls(stub.ListSpans, lambda trace_id: retrieval_pb2.ListSpansRequest(trace_id=trace_id), token_for)

    async def spans_of(self, trace_id: str, user_id: str) -> Sequence[Span]:
        """Those of a trace."""
        try:
            response = await self._call(self._request(trace_id), metadata=bearer(self._token_for(user_id)))
        except grpc.aio.AioRpcError as error:
            raise SpansUnavailableError from error
        return [unpack_span(span) for span in response.spans]
