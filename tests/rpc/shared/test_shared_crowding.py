"""The streams of one user are bounded, and nobody else's are: through real gRPC, with handlers that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from parley_testing.toy_service import Request, StreamRequest, message, running_toy


async def test_one_stream_too_many_is_refused_until_another_ends_and_nobody_else_is_held_up(tmp_path: Path) -> None:
    async def stream(request: StreamRequest, context: Any) -> AsyncGenerator[Any, None]:
        del request, context
        yield message("open")
        await asyncio.Event().wait()

    async with running_toy(tmp_path, PARLEY_MAX_STREAMS_PER_USER="2") as toy:
        toy.servicer.stream = stream

        def opened(user_id: str, **claims: Any) -> Any:
            return toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token(user_id, **claims), timeout=60)

        streams = [opened("usr_busy") for _ in range(2)]
        for one in streams:
            assert (await one.read()).text_delta == "open"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await opened("usr_busy").read()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing = dict(refused.value.trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert (info.reason, info.metadata["limit"]) == ("ERROR_REASON_LIMIT_EXCEEDED", "2")
        assert (retry.retry_delay.seconds, trailing["retry-after"]) == (1, "1")
        # Calls that are answered whole, what a service does for the user, and other users' streams are none of them.
        assert (await toy.stub.Generate(Request(), metadata=toy.token("usr_busy"), timeout=60)).text
        for free in (opened("usr_busy", act={"sub": "chat"}), opened("usr_other")):
            assert (await free.read()).text_delta == "open"
            free.cancel()
        streams[0].cancel()
        # The service hears of it a moment later.
        async with asyncio.timeout(60):
            while True:
                another = opened("usr_busy")
                try:
                    assert (await another.read()).text_delta == "open"
                    break
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
        another.cancel()
        streams[1].cancel()
