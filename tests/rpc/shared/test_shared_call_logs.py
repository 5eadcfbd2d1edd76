"""One log line per call, with what is needed to find out what happened."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from parley_testing.toy_service import Request, Response, StreamRequest, Toy, message


async def lines(caplog: pytest.LogCaptureFixture, count: int) -> list[logging.LogRecord]:
    """The lines of calls: a caller may have its answer a moment before the line is written."""
    async with asyncio.timeout(10):
        while len(found := [record for record in caplog.records if record.name == "parley.calls"]) < count:  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.01)  # logging has no event to wait for
    return found


async def test_each_call_is_one_line_that_tells_what_who_how_and_how_long(
    toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "parley.calls")
    await toy.stub.Generate(Request(), metadata=toy.token("usr_1", act={"sub": "chat"}))
    (line,) = await lines(caplog, 1)
    facts: Any = line
    assert line.getMessage() == "parley.inference.v1.InferenceService/Generate OK"
    assert (facts.method, facts.code) == ("parley.inference.v1.InferenceService/Generate", "OK")
    assert (facts.user_id, facts.calling_service) == ("usr_1", "chat")
    assert facts.duration_ms >= 0
    assert line.levelno == logging.INFO


async def test_a_stream_is_one_line_however_many_messages_it_has(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "parley.calls")

    async def stream(request: StreamRequest, context: Any) -> Any:
        for i in range(100):
            yield message(str(i))

    toy.servicer.stream = stream
    async for _ in toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token()):
        pass
    await toy.stub.Generate(Request(), metadata=toy.token())
    assert [line.getMessage().split("/")[1] for line in await lines(caplog, 2)] == ["StreamGenerate OK", "Generate OK"]


async def test_refused_and_failed_calls_tell_their_reason(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "parley.calls")

    async def unary(request: Request, context: Any) -> Response:
        raise RuntimeError

    toy.servicer.unary = unary
    for metadata in ((), toy.token(scope="chat:read"), toy.token()):
        with pytest.raises(grpc.aio.AioRpcError):
            await toy.stub.Generate(Request(), metadata=metadata)
    found: list[Any] = list(await lines(caplog, 3))
    assert [line.reason for line in found] == [
        "ERROR_REASON_TOKEN_MISSING",
        "ERROR_REASON_SCOPE_MISSING",
        "ERROR_REASON_INTERNAL",
    ]
    assert [line.levelname for line in found] == ["INFO", "INFO", "WARNING"]


async def test_a_call_that_its_caller_cancelled_is_told_as_cancelled(
    toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "parley.calls")

    async def stream(request: StreamRequest, context: Any) -> Any:
        yield message("one")
        await asyncio.Event().wait()

    toy.servicer.stream = stream
    call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    await call.read()
    call.cancel()
    (line,) = await lines(caplog, 1)
    assert line.getMessage().endswith("StreamGenerate CANCELLED")


async def test_health_checks_are_told_only_at_debug(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "parley.calls")
    await toy.health.Check(health_pb2.HealthCheckRequest())
    (line,) = await lines(caplog, 1)
    assert line.levelno == logging.DEBUG
