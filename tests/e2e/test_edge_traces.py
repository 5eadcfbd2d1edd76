"""Trace context through the edge: begun when there is none, carried on when there is, told to the caller always."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence

import grpc
import pytest
from parley.system.v1 import system_service_pb2, system_service_pb2_grpc
from parley_testing.mesh import Mesh
from parley_testing.otlp_sink import OtlpSink, SeenSpan


@pytest.mark.parametrize(
    "path", ["/health", "/api/v2/chat/sessions", "/nowhere/at/all", "/healthz", "/.well-known/jwks.json"]
)
def test_every_answer_tells_its_trace(mesh: Mesh, path: str) -> None:
    _, headers, _ = mesh.exchange("GET", path)
    assert re.fullmatch("[0-9a-f]{32}", headers["x-trace-id"])


@pytest.mark.parametrize("path", ["/", "/assets/index-0f3a.js", "/assets/none.js"])
def test_the_page_tells_its_trace_too(guarded_mesh: Mesh, path: str) -> None:
    _, headers, _ = guarded_mesh.exchange("GET", path)
    assert re.fullmatch("[0-9a-f]{32}", headers["x-trace-id"])


@pytest.mark.parametrize("flags", ["01", "00"])
def test_a_trace_that_has_begun_goes_on(mesh: Mesh, flags: str) -> None:
    trace_id = secrets.token_hex(16)
    # A request id that is not a UUID must not take the trace off.
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-{flags}", "x-request-id": "not-a-uuid"}
    _, received, _ = mesh.exchange("GET", "/health", headers=headers)
    assert received["x-trace-id"] == trace_id
    assert trace_id in mesh.wait_for_access_log(lambda line: line["trace_id"] == trace_id)["trace_id"]


async def test_the_service_is_in_the_same_trace(mesh: Mesh) -> None:
    trace_id = secrets.token_hex(16)
    metadata = (*mesh.sign_up().metadata, ("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01"))
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        call = system_service_pb2_grpc.SystemServiceStub(channel).GetStatus(
            system_service_pb2.GetStatusRequest(), metadata=metadata
        )
        await call
        received = dict(await call.initial_metadata())
    assert received["x-trace-id"] == trace_id
    # chat logs each call with the trace it is in.
    assert any(trace_id in line for line in mesh.logs().splitlines() if line.startswith("chat"))


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    sink = OtlpSink()
    await sink.start()
    yield sink
    await sink.stop()


async def test_a_turn_is_one_trace_from_the_door_to_the_model(sink: OtlpSink, start_mesh: Callable[..., Mesh]) -> None:
    mesh = await asyncio.to_thread(start_mesh, {"PARLEY_OTLP_ENDPOINT": sink.endpoint})
    user = await asyncio.to_thread(mesh.sign_up)
    trace_id, browser = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"authorization": user.authorization, "traceparent": f"00-{trace_id}-{browser}-01"}
    body = {"message": "How do I add a provider?"}
    status, _ = await asyncio.to_thread(mesh.request, "POST", "/api/v2/chat/send", body, headers=headers)
    assert status == 200

    def of_trace(spans: Sequence[SeenSpan]) -> list[SeenSpan]:
        return [span for span in spans if span.trace_id == trace_id]

    def entered(spans: Sequence[SeenSpan]) -> set[tuple[str, str]]:
        """Who called whom, of those whose spans are both there."""
        by_id = {span.span_id: span for span in spans}
        pairs = {(by_id[span.parent_span_id].service, span.service) for span in spans if span.parent_span_id in by_id}
        return {pair for pair in pairs if pair[0] != pair[1]}

    calls = {
        ("parley-edge", "parley-chat"),
        ("parley-chat", "parley-inference"),
        ("parley-chat", "parley-retrieval"),
    }

    def is_whole(spans: Sequence[SeenSpan]) -> bool:
        # Each process sends its spans when it likes, those of callers after those of the called.
        mine = of_trace(spans)
        return calls <= entered(mine) and browser in {span.parent_span_id for span in mine}

    spans = of_trace(await sink.wait_for(is_whole))
    # Each process's first span hangs on one of the process that called it, and all of them on the browser's.
    assert entered(spans) == calls
    assert [span.service for span in spans if span.parent_span_id == browser] == ["parley-edge"]


async def test_a_share_of_the_traces_that_begin_here_is_recorded_and_all_that_were_begun(
    sink: OtlpSink, start_mesh: Callable[..., Mesh]
) -> None:
    mesh = await asyncio.to_thread(
        start_mesh, {"PARLEY_OTLP_ENDPOINT": sink.endpoint, "PARLEY_TRACE_SAMPLE_RATIO": "0"}
    )
    _, received, _ = await asyncio.to_thread(mesh.exchange, "GET", "/health")
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    await asyncio.to_thread(mesh.exchange, "GET", "/health", headers=headers)
    spans = await sink.wait_for(lambda spans: {"parley-edge", "parley-chat"} <= {span.service for span in spans})
    assert {span.trace_id for span in spans} == {trace_id}
    assert received["x-trace-id"] != trace_id
