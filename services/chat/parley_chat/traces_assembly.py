"""Puts together what gathers traces. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import grpc
from parley.telemetry.v1 import trace_service_pb2_grpc
from parley_shared.serving import Registration

from parley_chat.adapters.grpc_spans import GrpcSpans
from parley_chat.adapters.kept_spans import KeptSpans
from parley_chat.operations.traces import Traces
from parley_chat.ports.span_source import SpanSource
from parley_chat.servicers.traces import TraceServicer
from parley_chat.settings import ChatSettings

if TYPE_CHECKING:
    from parley_chat.adapters.edge_spans import EdgeSpans

logger = logging.getLogger(__name__)

_MESSAGE_BYTES_MOST = 4 * 1024 * 1024


async def listen_for_spans(edge: EdgeSpans, address: str, closing: AsyncExitStack) -> int:
    """Takes the edge's spans at "host:port" until `closing` closes. Returns the port.

    0 when it cannot listen there, which is said in the log: traces begin at chat then, and everything else goes on.
    """
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp  # noqa: PLC0415 - as in open_traces

    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MESSAGE_BYTES_MOST)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=16)
    otlp.add_TraceServiceServicer_to_server(edge, server)  # type: ignore[no-untyped-call]  # generated
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        logger.warning("the edge's spans cannot be taken: the address for them is not to be had")
        return 0
    await server.start()
    closing.push_async_callback(server.stop, None)
    return port


async def open_traces(
    settings: ChatSettings,
    inference: grpc.aio.Channel,
    retrieval: grpc.aio.Channel,
    token_for: Callable[[str], str],
    closing: AsyncExitStack,
) -> Registration:
    """What serves traces, and takes the spans of the edge until `closing` closes."""
    own: list[tuple[str, SpanSource]] = [("chat", KeptSpans())]
    if settings.edge_spans_address:
        # Imported here: who sends spans to a collector does not pay for taking them.
        from parley_chat.adapters.edge_spans import EdgeSpans  # noqa: PLC0415

        edge = EdgeSpans()
        own.append(("edge", edge))
        await listen_for_spans(edge, settings.edge_spans_address, closing)
    sources: list[tuple[str, SpanSource]] = [
        *own,
        ("inference", GrpcSpans.of_inference(inference, token_for)),
        ("retrieval", GrpcSpans.of_retrieval(retrieval, token_for)),
    ]
    if settings.redis_url:
        # Imported here: who has one process need not have the package.
        from parley_chat.adapters.redis_connection import RedisConnection  # noqa: PLC0415
        from parley_chat.adapters.redis_spans import RedisSpans  # noqa: PLC0415

        redis = RedisConnection(settings.redis_url)
        closing.push_async_callback(redis.close)
        replicas = RedisSpans(redis, [source for _, source in own])
        closing.push_async_callback(replicas.close)
        sources.append(("chat", replicas))
    return Registration(
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
        TraceServicer(Traces(sources)),
        "parley.telemetry.v1.TraceService",
    )
