"""Time: calls end when their caller's time is over, streams when they carry nothing, and what is called has no more time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley_shared.interceptors.deadline import forget_deadline, remaining_seconds
from parley_shared.status import status_error_from
from parley_testing.toy_service import Request, Response, StreamRequest, Toy, message, running_toy

left_behind: ContextVar[str] = ContextVar("left_behind", default="")


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Toy]:
    async with running_toy(tmp_path, PARLEY_STREAM_IDLE_SECONDS="0.2") as toy:
        yield toy


async def test_a_call_whose_time_is_over_ends_with_the_reason_and_its_handler_is_cancelled(toy: Toy) -> None:
    cancelled = asyncio.Event()

    async def unary(request: Request, context: Any) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    toy.servicer.unary = unary
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await toy.stub.Generate(Request(), metadata=toy.token(), timeout=0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert status_error_from(caught.value).reason == "ERROR_REASON_DEADLINE_EXCEEDED"
    await asyncio.wait_for(cancelled.wait(), 10)


async def test_a_handlers_own_timeout_is_not_taken_for_the_deadline(toy: Toy) -> None:
    async def unary(request: Request, context: Any) -> Response:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        raise AssertionError

    toy.servicer.unary = unary
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await toy.stub.Generate(Request(), metadata=toy.token(), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INTERNAL


async def test_a_call_without_a_deadline_has_none(toy: Toy) -> None:
    seen: list[float | None] = []

    async def unary(request: Request, context: Any) -> Response:
        seen.append(remaining_seconds())
        return Response()

    toy.servicer.unary = unary
    await toy.stub.Generate(Request(), metadata=toy.token())
    await toy.stub.Generate(Request(), metadata=toy.token(), timeout=30)
    assert seen[0] is None
    assert seen[1] is not None
    assert 0 < seen[1] <= 30


async def test_the_deadline_is_carried_on_to_what_the_handler_calls(toy: Toy) -> None:
    """The toy calls itself: first with what is left, then with a timeout of its own, then freed of the deadline."""
    seen: list[float | None] = []

    async def inner(request: Request, context: Any) -> Response:
        seen.append(context.time_remaining())
        return Response()

    async def outer(request: Request, context: Any) -> Response:
        toy.servicer.unary = inner
        await toy.stub.Generate(Request(), metadata=toy.token())
        await toy.stub.Generate(Request(), metadata=toy.token(), timeout=5)
        await toy.stub.Generate(Request(), metadata=toy.token(), timeout=500)

        async def outliving() -> None:
            forget_deadline()
            await toy.stub.Generate(Request(), metadata=toy.token())

        await asyncio.create_task(outliving())
        return Response()

    toy.servicer.unary = outer
    await toy.stub.Generate(Request(), metadata=toy.token(), timeout=50)
    carried, shorter, longer, forgotten = seen
    assert carried is not None
    assert 6 < carried < 51
    assert shorter is not None
    assert shorter < 6  # gRPC rounds up by as much as a hundredth
    assert longer is not None
    assert 6 < longer < 51
    assert forgotten is None


async def test_a_stream_that_carries_nothing_ends_with_the_reason_and_its_generator_is_closed(impatient: Toy) -> None:
    closed = asyncio.Event()

    async def stream(request: StreamRequest, context: Any) -> Any:
        try:
            yield message("one")
            await asyncio.Event().wait()
        finally:
            closed.set()

    impatient.servicer.stream = stream
    call = impatient.stub.StreamGenerate(StreamRequest(), metadata=impatient.token())
    assert await call.read() == message("one")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    error = status_error_from(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_STREAM_IDLE")
    assert error.metadata == {"idle_seconds": "0.2"}
    await asyncio.wait_for(closed.wait(), 10)


async def test_a_stream_that_goes_on_may_last_longer_than_it_may_be_silent(impatient: Toy) -> None:
    async def stream(request: StreamRequest, context: Any) -> Any:
        for i in range(10):
            await asyncio.sleep(0.05)
            yield message(str(i))

    impatient.servicer.stream = stream
    call = impatient.stub.StreamGenerate(StreamRequest(), metadata=impatient.token())
    assert len([response async for response in call]) == 10


async def test_a_unary_call_may_take_longer_than_a_stream_may_be_silent(impatient: Toy) -> None:
    async def unary(request: Request, context: Any) -> Response:
        await asyncio.sleep(0.4)
        return Response(text="late")

    impatient.servicer.unary = unary
    assert (await impatient.stub.Generate(Request(), metadata=impatient.token())).text == "late"


@pytest.mark.parametrize("end", ["cancelled by the caller", "idle", "deadline", "broken", "not read"])
async def test_a_generator_is_closed_in_the_context_that_it_ran_in(impatient: Toy, end: str) -> None:
    """A ContextVar's token can only be used in the context that it was made in: what `span()` and many libraries do at their end."""
    result: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def stream(request: StreamRequest, context: Any) -> Any:
        token = left_behind.set("mine")
        try:
            yield message("one")
            if end == "broken":
                raise RuntimeError
            while end == "not read":  # ends while it waits for its reader, and not for itself
                yield message("x" * 1_000_000)
            while (
                end == "deadline"
            ):  # never silent: nothing but the deadline ends it, which leaves time for the first message
                await asyncio.sleep(0.02)
                yield message("more")
            await asyncio.Event().wait()
        finally:
            try:
                left_behind.reset(token)
                await asyncio.sleep(0)  # cleaning up may take its time
                result.set_result(left_behind.get())
            except ValueError as error:
                result.set_exception(error)

    impatient.servicer.stream = stream
    timeout = 2.0 if end == "deadline" else None
    call = impatient.stub.StreamGenerate(StreamRequest(), metadata=impatient.token(), timeout=timeout)
    await call.read()
    if end == "cancelled by the caller":
        call.cancel()
    assert await asyncio.wait_for(result, 10) == ""
    call.cancel()
