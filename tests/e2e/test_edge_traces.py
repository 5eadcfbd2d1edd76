"""Trace context through the edge: begun when there is none, carried on when there is, told to the caller always."""

from __future__ import annotations

import re
import secrets

import grpc
import pytest
from parley.system.v1 import system_service_pb2, system_service_pb2_grpc
from parley_testing.mesh import Mesh


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
    metadata = (("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01"),)
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        call = system_service_pb2_grpc.SystemServiceStub(channel).GetHealth(
            system_service_pb2.GetHealthRequest(), metadata=metadata
        )
        await call
        received = dict(await call.initial_metadata())
    assert received["x-trace-id"] == trace_id
    # chat logs each call with the trace it is in.
    assert any(trace_id in line for line in mesh.logs().splitlines() if line.startswith("chat"))
