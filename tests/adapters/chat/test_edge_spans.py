"""The spans of the edge: taken by OTLP, kept for a while, and told without what tells how Parley is built."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from parley_chat.adapters.edge_spans import SPANS_OF_A_TRACE_MOST, TRACES_MOST, EdgeSpans
from parley_chat.domain.traces import Span, SpanKind
from parley_chat.traces_assembly import listen_for_spans

SECOND = 1_000_000_000
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Edge:
    spans: EdgeSpans
    port: int


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with AsyncExitStack() as closing:
        spans = EdgeSpans()
        yield Edge(spans, await listen_for_spans(spans, "127.0.0.1:0", closing))


def attribute(key: str, value: str) -> common_pb2.KeyValue:
    return common_pb2.KeyValue(key=key, value=common_pb2.AnyValue(string_value=value))


def span(trace_id: bytes, **attributes: str) -> trace_pb2.Span:
    return trace_pb2.Span(
        trace_id=trace_id,
        span_id=secrets.token_bytes(8),
        parent_span_id=b"\x01" * 8,
        name="ingress",
        kind=trace_pb2.Span.SPAN_KIND_SERVER,
        start_time_unix_nano=int(NOON.timestamp()) * SECOND,
        end_time_unix_nano=int(NOON.timestamp()) * SECOND + SECOND // 2,
        attributes=[attribute(key.replace("__", "."), value) for key, value in attributes.items()],
    )


async def send(edge: Edge, *spans: trace_pb2.Span, service: str = "parley-edge") -> None:
    request = trace_service_pb2.ExportTraceServiceRequest(
        resource_spans=[
            trace_pb2.ResourceSpans(
                resource=resource_pb2.Resource(attributes=[attribute("service.name", service)]),
                scope_spans=[trace_pb2.ScopeSpans(spans=spans)],
            )
        ]
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = trace_service_pb2_grpc.TraceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        await stub.Export(request)


async def kept(edge: Edge, trace_id: bytes) -> list[Span]:
    return list(await edge.spans.spans_of(trace_id.hex(), "usr_1"))


async def test_a_span_is_told_as_it_was_without_addresses(edge: Edge) -> None:
    trace_id = secrets.token_bytes(16)
    await send(edge, span(trace_id, http__method="POST", peer__address="10.0.0.7", upstream_address="10.0.0.8:50051"))
    (told,) = await kept(edge, trace_id)
    assert (told.service, told.name, told.kind, told.failed) == ("edge", "ingress", SpanKind.SERVER, False)
    assert told.parent_span_id == "01" * 8
    assert told.attributes == {"http.method": "POST"}
    assert (told.start, (told.end - told.start).total_seconds()) == (NOON, 0.5)


async def test_the_spans_of_other_processes_and_huge_ones_are_not_kept(edge: Edge) -> None:
    trace_id = secrets.token_bytes(16)
    await send(edge, span(trace_id), service="somebody")
    await send(edge, span(trace_id, user_agent="x" * 20_000))
    assert await kept(edge, trace_id) == []


async def test_the_oldest_traces_are_forgotten_and_one_of_many_spans_ends(edge: Edge) -> None:
    traces = [secrets.token_bytes(16) for _ in range(TRACES_MOST + 10)]
    await send(edge, *(span(trace_id) for trace_id in traces))
    assert [bool(await kept(edge, trace_id)) for trace_id in traces] == [False] * 10 + [True] * TRACES_MOST
    await send(edge, *(span(traces[-1]) for _ in range(2 * SPANS_OF_A_TRACE_MOST)))
    assert len(await kept(edge, traces[-1])) == SPANS_OF_A_TRACE_MOST
