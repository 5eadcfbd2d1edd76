"""A process knows what it serves: calls, faults and those that run, by method; and the same is a metric."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from parley_shared.metering import recorded
from parley_shared.rpc_traffic import MethodTraffic, rpc_traffic
from parley_shared.telemetry import set_up_telemetry
from parley_testing.toy_service import Request, Response, StreamRequest, Toy, message

GENERATE = "parley.inference.v1.InferenceService/Generate"
STREAM = "parley.inference.v1.InferenceService/StreamGenerate"


def traffic(method: str) -> MethodTraffic:
    none = MethodTraffic(method, 0, 0, 0, 0, 0, 0.0)
    return next((one for one in rpc_traffic() if one.method == method), none)


async def counted(method: str, calls: int) -> MethodTraffic:
    """A caller may have its answer a moment before the call is counted."""
    async with asyncio.timeout(30):
        while (found := traffic(method)).calls < calls:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    return found


async def quiet(method: str) -> MethodTraffic:
    """The figures when no call of an earlier test is about to end."""
    async with asyncio.timeout(30):
        while (found := traffic(method)).in_flight:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    return found


async def test_calls_are_counted_by_method_and_faults_apart_from_refusals(toy: Toy) -> None:
    async def fails(request: Request, context: Any) -> Response:
        raise RuntimeError

    before = await quiet(GENERATE)
    await toy.stub.Generate(Request(), metadata=toy.token())
    with pytest.raises(grpc.aio.AioRpcError):  # refused: no token
        await toy.stub.Generate(Request())
    toy.servicer.unary = fails
    with pytest.raises(grpc.aio.AioRpcError):
        await toy.stub.Generate(Request(), metadata=toy.token())
    after = await counted(GENERATE, before.calls + 3)
    assert (after.calls - before.calls, after.errors - before.errors, after.in_flight) == (3, 1, 0)
    assert after.recent_calls >= 3
    assert after.recent_errors >= 1
    assert after.recent_mean_seconds > 0


async def test_an_open_stream_is_in_flight_until_its_caller_is_gone(toy: Toy) -> None:
    async def endless(request: StreamRequest, context: Any) -> Any:
        yield message("one")
        await asyncio.Event().wait()

    toy.servicer.stream = endless
    before = await quiet(STREAM)
    call: Any = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    await call.read()
    assert traffic(STREAM).in_flight == 1
    call.cancel()
    after = await counted(STREAM, before.calls + 1)
    assert (after.in_flight, after.errors) == (0, before.errors)


async def test_the_metric_has_a_row_for_each_method_and_code_and_none_for_what_nobody_serves(toy: Toy) -> None:
    before = (await quiet(GENERATE)).calls
    set_up_telemetry("test", "", "0")
    await toy.stub.Generate(Request(), metadata=toy.token())
    with pytest.raises(grpc.aio.AioRpcError):
        await toy.stub.Generate(Request())
    with pytest.raises(grpc.aio.AioRpcError):
        await toy.raw("/parley.inference.v1.InferenceService/Nothing")(b"", metadata=toy.token())
    await counted(GENERATE, before + 2)
    found = {
        (one.attributes["rpc.method"], one.attributes["rpc.response.status_code"]): one.count
        for one in recorded("rpc.server.call.duration")
    }
    assert found == {(GENERATE, "OK"): 1, (GENERATE, "UNAUTHENTICATED"): 1}


async def test_what_services_call_is_counted_apart_from_what_users_do(toy: Toy) -> None:
    before = traffic(GENERATE)
    await toy.stub.Generate(Request(), metadata=toy.token())
    await toy.stub.Generate(Request(), metadata=toy.token(act={"sub": "chat"}))
    await toy.stub.Generate(Request(), metadata=toy.token(act={"sub": "chat"}))
    after = await counted(GENERATE, before.calls + 3)
    assert after.callers["chat"].recent_calls >= 2
    assert after.callers[""].recent_calls >= 1
    assert sum(caller.recent_calls for caller in after.callers.values()) == after.recent_calls
