"""Whatever a handler raises ends the call with a status that tells its caller what to do, and nothing internal."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from parley_shared.status import DETAILS_KEY, StatusError, status_error_from
from parley_shared.telemetry import current_trace_id
from parley_testing.toy_service import Request, Response, StreamRequest, Toy, message, running_toy


def raising(error: Exception) -> Any:
    async def unary(request: Request, context: Any) -> Response:
        raise error

    return unary


async def failure(toy: Toy, request: Request | None = None) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await toy.stub.Generate(request or Request(), metadata=toy.token())
    return caught.value


async def test_a_status_error_arrives_with_its_reason_its_violations_and_its_delay(toy: Toy) -> None:
    toy.servicer.unary = raising(
        StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "ERROR_REASON_TOO_MANY_TURNS",
            "Too many turns run.",
            metadata={"limit": "8"},
            violations=[("messages", "must be fewer")],
            retry_after_seconds=2,
        )
    )
    error = await failure(toy)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "Too many turns run."
    parsed = status_error_from(error)
    assert (parsed.reason, parsed.metadata) == ("ERROR_REASON_TOO_MANY_TURNS", {"limit": "8"})
    assert parsed.violations == (("messages", "must be fewer"),)
    assert parsed.retry_after_seconds == 2


async def test_every_error_carries_the_trace_id_of_its_call(toy: Toy) -> None:
    seen = []

    async def unary(request: Request, context: Any) -> Response:
        seen.append(current_trace_id())
        raise KeyError("internal")

    toy.servicer.unary = unary
    error = await failure(toy)
    metadata = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata[DETAILS_KEY])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "parley"
    assert seen == [info.metadata["trace_id"]]
    assert len(seen[0]) == 32


async def test_an_unknown_error_is_internal_and_its_words_are_only_in_the_log(
    toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    toy.servicer.unary = raising(RuntimeError("SELECT secret FROM /var/lib/parley"))
    error = await failure(toy)
    assert error.code() == grpc.StatusCode.INTERNAL
    assert status_error_from(error).reason == "ERROR_REASON_INTERNAL"
    assert "SELECT" not in str(error)
    assert "SELECT" not in repr(error.trailing_metadata())
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    assert "SELECT secret" in str(record.exc_info[1])


async def test_an_error_of_a_called_service_that_nobody_handled_is_internal_too(toy: Toy) -> None:
    inner = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAUTHENTICATED, grpc.aio.Metadata(), grpc.aio.Metadata(), details="10.0.0.1"
    )
    toy.servicer.unary = raising(inner)
    assert (await failure(toy)).code() == grpc.StatusCode.INTERNAL


class DomainError(Exception):
    pass


async def test_a_services_own_errors_become_the_statuses_it_says(tmp_path: Path) -> None:
    def to_status_error(error: Exception) -> StatusError | None:
        if isinstance(error, DomainError):
            return StatusError(grpc.StatusCode.ABORTED, "ERROR_REASON_TURN_INTERRUPTED", "It was interrupted.")
        return None

    async with running_toy(tmp_path, to_status_error=to_status_error) as toy:
        toy.servicer.unary = raising(DomainError())
        assert (await failure(toy)).code() == grpc.StatusCode.ABORTED
        toy.servicer.unary = raising(ValueError())
        assert (await failure(toy)).code() == grpc.StatusCode.INTERNAL


async def test_a_mistake_in_turning_an_error_into_a_status_is_internal(tmp_path: Path) -> None:
    def broken(error: Exception) -> StatusError | None:
        raise LookupError

    async with running_toy(tmp_path, to_status_error=broken) as toy:
        toy.servicer.unary = raising(DomainError())
        assert (await failure(toy)).code() == grpc.StatusCode.INTERNAL


async def test_a_handlers_own_abort_stays_as_it_is(toy: Toy) -> None:
    async def unary(request: Request, context: Any) -> Response:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "my words")
        raise AssertionError

    toy.servicer.unary = unary
    error = await failure(toy)
    assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "my words")


async def test_an_error_in_mid_stream_comes_after_the_messages_before_it(toy: Toy) -> None:
    async def stream(request: StreamRequest, context: Any) -> Any:
        yield message("one")
        yield message("two")
        raise StatusError(
            grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_STALLED", "It stalled.", retry_after_seconds=1
        )

    toy.servicer.stream = stream
    call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    assert [await call.read(), await call.read()] == [message("one"), message("two")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert status_error_from(caught.value).reason == "ERROR_REASON_PROVIDER_STALLED"


async def test_bytes_that_are_no_request_are_an_invalid_argument_and_only_for_those_who_may_call(toy: Toy) -> None:
    call: Any = toy.raw("/parley.inference.v1.InferenceService/Generate")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff\xff\xff", metadata=toy.token())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert status_error_from(caught.value).reason == "ERROR_REASON_INVALID_FIELD"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff\xff\xff")
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_request_that_is_too_large_is_resource_exhausted(tmp_path: Path) -> None:
    async with running_toy(tmp_path, PARLEY_MAX_MESSAGE_BYTES=str(64 * 1024)) as toy:
        assert (await failure(toy, Request(model="x" * 100_000))).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await toy.stub.Generate(Request(model="x" * 10_000), metadata=toy.token())


async def test_an_rpc_that_nobody_implemented_is_unimplemented(toy: Toy) -> None:
    for path in ("/parley.inference.v1.InferenceService/NoSuch", "/grpc.health.v1.Health/List", "/no.Such/Method"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await toy.raw(path)(b"", metadata=toy.token())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_caller_that_leaves_cancels_the_handler_and_nothing_is_logged_as_an_error(
    toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def unary(request: Request, context: Any) -> Response:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    toy.servicer.unary = unary
    call = toy.stub.Generate(Request(), metadata=toy.token())
    await asyncio.wait_for(entered.wait(), 10)
    call.cancel()
    await asyncio.wait_for(left.wait(), 10)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
