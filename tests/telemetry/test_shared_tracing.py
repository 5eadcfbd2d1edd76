"""Spans of calls join across services, are few, and tell nothing that they must not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from parley_shared.telemetry import (
    SpanStore,
    current_trace_id,
    set_up_telemetry,
    shut_down_telemetry,
    span,
    spans_of,
    untraced,
)
from parley_testing.otlp_sink import OtlpSink, SeenSpan
from parley_testing.toy_service import Request, Response, StreamRequest, Toy, message, running_toy

GENERATE = "parley.inference.v1.InferenceService/Generate"
STREAM = "parley.inference.v1.InferenceService/StreamGenerate"


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Toy]:
    set_up_telemetry("toy", "", "1.2.3")
    async with running_toy(tmp_path) as toy:
        yield toy


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    sink = OtlpSink()
    await sink.start()
    set_up_telemetry("toy", sink.endpoint, "1.2.3")
    yield sink
    await asyncio.to_thread(shut_down_telemetry)
    await sink.stop()
    set_up_telemetry("toy", "", "")


async def spans(trace_id: str, count: int) -> Sequence[ReadableSpan]:
    """A caller may have its answer a moment before the server's span ends."""
    async with asyncio.timeout(10):
        while len(found := spans_of(trace_id)) < count:  # noqa: ASYNC110 - the store has no event to wait for
            await asyncio.sleep(0.01)
    return found


def edges(found: Sequence[ReadableSpan]) -> set[tuple[str, str]]:
    """(parent, child) as "name of kind"."""

    def name(one: ReadableSpan) -> str:
        return f"{one.name.rpartition('/')[2]} {one.kind.name.lower()}"

    by_id = {one.context.span_id: name(one) for one in found if one.context is not None}
    return {
        (by_id[one.parent.span_id] if one.parent and one.parent.span_id in by_id else "", name(one)) for one in found
    }


async def test_a_call_through_two_services_is_one_trace_whose_spans_join(toy: Toy, tmp_path: Path) -> None:
    async with running_toy(tmp_path / "second") as second:

        async def outer(request: StreamRequest, context: Any) -> Any:
            with span("stage"):
                yield message("one")
                await second.stub.Generate(Request(), metadata=second.token())

        toy.servicer.stream = outer
        with span("test"):
            trace_id = current_trace_id()
            async for _ in toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token()):
                pass
        found = await spans(trace_id, 6)
    assert edges(found) == {
        ("", "test internal"),
        ("test internal", "StreamGenerate client"),
        ("StreamGenerate client", "StreamGenerate server"),
        ("StreamGenerate server", "stage internal"),
        ("stage internal", "Generate client"),
        ("Generate client", "Generate server"),
    }


async def test_a_callers_own_trace_context_is_followed(toy: Toy) -> None:
    trace_id = "ab" * 16
    traceparent = ("traceparent", f"00-{trace_id}-{'cd' * 8}-01")
    async with grpc.aio.insecure_channel(toy.address) as channel:
        call: Any = channel.unary_unary(f"/{GENERATE}")
        await call(b"", metadata=(*toy.token(), traceparent))
    (server,) = await spans(trace_id, 1)
    assert server.parent is not None
    assert server.parent.span_id == int("cd" * 8, 16)


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff" * 500])
async def test_a_damaged_trace_context_begins_a_trace_of_its_own(toy: Toy, traceparent: str) -> None:
    seen = []

    async def unary(request: Request, context: Any) -> Response:
        seen.append(current_trace_id())
        return Response()

    toy.servicer.unary = unary
    async with grpc.aio.insecure_channel(toy.address) as channel:
        call: Any = channel.unary_unary(f"/{GENERATE}")
        await call(b"", metadata=(*toy.token(), ("traceparent", traceparent)))
    assert len(await spans(seen[0], 1)) == 1


async def test_a_span_of_a_call_has_the_conventional_attributes_and_its_code(toy: Toy) -> None:
    with span("test"):
        trace_id = current_trace_id()
        await toy.stub.Generate(Request(), metadata=toy.token("usr_1"))
        with pytest.raises(grpc.aio.AioRpcError):
            await toy.stub.Generate(Request())
    found = await spans(trace_id, 5)
    attributes = [dict(one.attributes or {}) for one in found if one.kind is trace.SpanKind.SERVER]
    common = {"rpc.system.name": "grpc", "rpc.method": GENERATE}
    assert attributes == [
        common | {"rpc.response.status_code": "OK", "user.id": "usr_1"},
        common | {"rpc.response.status_code": "UNAUTHENTICATED"},
    ]
    clients = [one for one in found if one.kind is trace.SpanKind.CLIENT]
    assert [dict(one.attributes or {})["rpc.response.status_code"] for one in clients] == ["OK", "UNAUTHENTICATED"]
    # A refusal is the caller's fault: an error of the client's span and none of the server's.
    assert [one.status.status_code for one in clients] == [trace.StatusCode.UNSET, trace.StatusCode.ERROR]
    servers = [one for one in found if one.kind is trace.SpanKind.SERVER]
    assert {one.status.status_code for one in servers} == {trace.StatusCode.UNSET}


async def test_a_failure_marks_the_span_and_its_words_are_not_in_it(toy: Toy) -> None:
    async def unary(request: Request, context: Any) -> Response:
        with span("stage"):
            raise RuntimeError("what the user wrote")

    toy.servicer.unary = unary
    with span("test"):
        trace_id = current_trace_id()
        with pytest.raises(grpc.aio.AioRpcError):
            await toy.stub.Generate(Request(), metadata=toy.token())
    found = await spans(trace_id, 4)
    (stage,) = (one for one in found if one.name == "stage")
    (server,) = (one for one in found if one.kind is trace.SpanKind.SERVER)
    assert stage.status.status_code is trace.StatusCode.ERROR
    assert dict(stage.attributes or {})["error.type"] == "RuntimeError"
    assert server.status.status_code is trace.StatusCode.ERROR
    assert dict(server.attributes or {})["error.type"] == "ERROR_REASON_INTERNAL"
    assert "what the user wrote" not in "".join(one.to_json() for one in found)


async def test_a_stream_of_many_messages_is_one_span_without_events(toy: Toy) -> None:
    async def stream(request: StreamRequest, context: Any) -> Any:
        for i in range(500):
            yield message(str(i))

    toy.servicer.stream = stream
    with span("test"):
        trace_id = current_trace_id()
        async for _ in toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token()):
            pass
    found = await spans(trace_id, 3)
    assert len(found) == 3
    assert all(not one.events for one in found)


@pytest.mark.parametrize("leave", ["cancel", "drain", "finish"])
async def test_a_stream_that_its_caller_leaves_has_an_ended_span_and_no_complaint_about_contexts(
    toy: Toy, caplog: pytest.LogCaptureFixture, leave: str
) -> None:
    async def inner() -> Any:
        with span("inner"):
            while True:
                yield message("one")
                await asyncio.sleep(0.01)

    async def stream(request: StreamRequest, context: Any) -> Any:
        with span("outer"):
            async for response in inner():  # closed by nobody: by the event loop, in another context
                yield response
                if leave == "finish":
                    return

    toy.servicer.stream = stream
    with span("test"):
        trace_id = current_trace_id()
        call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
        await call.read()
        if leave == "cancel":
            call.cancel()
        elif leave == "drain":
            await toy.server.drain()
        else:
            assert await call.read() is grpc.aio.EOF
    found = await spans(trace_id, 5)
    codes = {one.kind.name: dict(one.attributes or {}).get("rpc.response.status_code") for one in found}
    assert codes["SERVER"] == ("OK" if leave == "finish" else "CANCELLED")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_health_checks_are_not_traced(toy: Toy) -> None:
    with span("test"):
        trace_id = current_trace_id()
        await toy.health.Check(health_pb2.HealthCheckRequest())
        await toy.stub.Generate(Request(), metadata=toy.token())
    found = await spans(trace_id, 4)
    assert [one.name for one in found if one.kind is trace.SpanKind.SERVER] == [GENERATE]


def test_the_store_forgets_the_oldest_traces_and_never_grows_past_its_bound() -> None:
    store = SpanStore()
    set_up_telemetry("toy", "", "")
    ids = []
    for _ in range(600):
        with span("one") as opened:
            ids.append(current_trace_id())
        assert isinstance(opened, ReadableSpan)
        store.on_end(opened)
    assert len(store.spans_of(ids[-1])) == 1
    assert store.spans_of(ids[0]) == []
    assert sum(bool(store.spans_of(trace_id)) for trace_id in ids) == 512
    assert store.spans_of("nonsense") == []


def test_what_is_looked_at_all_day_long_is_in_no_trace() -> None:
    set_up_telemetry("toy", "", "")
    with span("call"):
        of_call = current_trace_id()
        with untraced(), span("look"):
            of_look = current_trace_id()
        assert current_trace_id() == of_call
    assert of_look != of_call
    assert [each.name for each in spans_of(of_call)] == ["call"]
    assert spans_of(of_look) == []


async def test_a_sample_ratio_of_nothing_records_nothing_and_calls_still_have_a_trace_id(tmp_path: Path) -> None:
    set_up_telemetry("toy", "", "", sample_ratio=0)
    seen = []

    async def unary(request: Request, context: Any) -> Response:
        seen.append(current_trace_id())
        return Response()

    async with running_toy(tmp_path) as toy:
        toy.servicer.unary = unary
        await toy.stub.Generate(Request(), metadata=toy.token())
        sampled = ("traceparent", f"00-{'ef' * 16}-{'cd' * 8}-01")
        async with grpc.aio.insecure_channel(toy.address) as channel:
            call: Any = channel.unary_unary(f"/{GENERATE}")
            await call(b"", metadata=(*toy.token(), sampled))
        assert len(await spans("ef" * 16, 1)) == 1  # the caller decided otherwise
    assert len(seen[0]) == 32
    assert spans_of(seen[0]) == []


async def test_spans_reach_a_collector_with_the_name_and_the_release_of_the_service(
    sink: OtlpSink, tmp_path: Path
) -> None:
    async with running_toy(tmp_path) as toy:
        with span("test"):
            trace_id = current_trace_id()
            await toy.stub.Generate(Request(), metadata=toy.token())

    def complete(seen: Sequence[SeenSpan]) -> bool:
        return len([one for one in seen if one.trace_id == trace_id]) == 3

    found = [one for one in await sink.wait_for(complete) if one.trace_id == trace_id]
    assert {one.service for one in found} == {"parley-toy"}
    parents = {one.span_id: one.parent_span_id for one in found}
    assert sorted(parent == "" for parent in parents.values()) == [False, False, True]
    assert all(parent == "" or parent in parents for parent in parents.values())
    # They are kept too: the page shows them with a collector as well.
    assert {each.context.span_id for each in spans_of(trace_id) if each.context} == {
        int(one.span_id, 16) for one in found
    }


async def test_a_shutdown_sends_what_still_waits_and_a_second_one_is_no_harm(sink: OtlpSink) -> None:
    with span("last words"):
        pass
    await asyncio.to_thread(shut_down_telemetry)
    await asyncio.to_thread(shut_down_telemetry)
    assert [one.name for one in sink.spans] == ["last words"]


@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_an_endpoint_may_be_written_with_and_without_its_scheme(scheme: str) -> None:
    async with AsyncExitStack() as closing:
        sink = OtlpSink()
        await sink.start()
        closing.push_async_callback(sink.stop)
        set_up_telemetry("toy", scheme + sink.endpoint.removeprefix("http://"), "")
        with span("one"):
            pass
        await asyncio.to_thread(shut_down_telemetry)
        assert [one.name for one in sink.spans] == ["one"]
    set_up_telemetry("toy", "", "")
