"""Channels: traced, without hidden retries, quick to come back, and with gRPC's own call objects."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley_shared.channels import bearer, open_channel
from parley_shared.status import status_error_from
from parley_testing.toy_service import Request, Response, StreamRequest, StreamResponse, Toy, message, running_toy


def test_a_bearer_is_the_metadata_of_a_call() -> None:
    assert bearer("abc") == (("authorization", "Bearer abc"),)


async def test_a_stream_is_read_message_by_message_and_cancelling_it_reaches_the_handler(toy: Toy) -> None:
    closed = asyncio.Event()

    async def stream(request: StreamRequest, context: Any) -> Any:
        try:
            yield message("one")
            yield message("two")
            await asyncio.Event().wait()
        finally:
            closed.set()

    toy.servicer.stream = stream
    call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    first, second = await call.read(), await call.read()
    assert isinstance(first, StreamResponse)
    assert isinstance(second, StreamResponse)
    assert [first.text_delta, second.text_delta] == ["one", "two"]
    assert call.cancel()
    await asyncio.wait_for(closed.wait(), 10)
    assert await call.code() == grpc.StatusCode.CANCELLED


async def test_a_stream_is_read_to_its_end(toy: Toy) -> None:
    call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    assert isinstance(await call.read(), StreamResponse)
    assert isinstance(await call.read(), StreamResponse)
    assert await call.read() is grpc.aio.EOF
    assert await call.code() == grpc.StatusCode.OK


async def test_cancelling_the_task_that_reads_ends_the_call(toy: Toy) -> None:
    entered, closed = asyncio.Event(), asyncio.Event()

    async def unary(request: Request, context: Any) -> Response:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()
        raise AssertionError

    async def ask() -> None:
        await toy.stub.Generate(Request(), metadata=toy.token())

    toy.servicer.unary = unary
    task = asyncio.create_task(ask())
    await asyncio.wait_for(entered.wait(), 10)
    task.cancel()
    await asyncio.wait_for(closed.wait(), 10)


async def test_a_call_that_fails_is_made_once(toy: Toy) -> None:
    calls = 0

    async def unary(request: Request, context: Any) -> Response:
        nonlocal calls
        calls += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        raise AssertionError

    toy.servicer.unary = unary
    with pytest.raises(grpc.aio.AioRpcError):
        await toy.stub.Generate(Request(), metadata=toy.token())
    assert calls == 1


async def test_nobody_listening_is_told_at_once(tmp_path: Path) -> None:
    async with running_toy(tmp_path) as toy:
        address = toy.address
    async with open_channel(address) as channel:
        call: Any = channel.unary_unary("/any.Thing/Do")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(call(b""), 10)
    assert status_error_from(caught.value, service="inference").reason == "ERROR_REASON_SERVICE_UNAVAILABLE"


async def test_a_service_that_came_back_is_found_again(tmp_path: Path) -> None:
    async with running_toy(tmp_path) as toy:
        port, token = toy.server.port, toy.token()
        channel = open_channel(toy.address)
        call = channel.unary_unary(
            "/parley.inference.v1.InferenceService/Generate",
            request_serializer=Request.SerializeToString,
            response_deserializer=Response.FromString,
        )
        await call(Request(), metadata=token)
    for _ in range(3):
        with pytest.raises(grpc.aio.AioRpcError):
            await call(Request(), metadata=token)
    async with running_toy(tmp_path, PARLEY_INFERENCE_PORT=str(port)) as toy:
        # Fails after its timeout when the channel does not connect again.
        assert (await call(Request(), metadata=toy.token(), timeout=10, wait_for_ready=True)).text == "answer"
    await channel.close()


async def test_the_state_of_the_connection_can_be_asked_for(toy: Toy) -> None:
    async with open_channel(toy.address) as channel:
        assert channel.get_state() == grpc.ChannelConnectivity.IDLE
        channel.get_state(try_to_connect=True)
        await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
        await asyncio.wait_for(channel.channel_ready(), 10)
        assert channel.get_state() == grpc.ChannelConnectivity.READY


async def test_requests_can_be_streams_too(toy: Toy) -> None:
    """Parley has none; what `open_channel` returns is a whole channel nevertheless. Reflection is such an rpc."""
    from grpc_reflection.v1alpha import reflection_pb2

    async def questions() -> Any:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    call = toy.reflection.ServerReflectionInfo(questions())
    answers = [answer async for answer in call]
    assert len(answers) == 1
