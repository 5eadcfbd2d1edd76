"""The watch over the health of the other services, against a real service that is watched through a channel that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley_chat.adapters.grpc_service_health import GrpcServiceHealth
from parley_chat.ports.service_health import ServiceState
from parley_testing.scripted_inference import ScriptedInference

SECONDS = 30


class Failing:
    """A channel whose calls fail so often, before a byte is sent, with an error that is none of gRPC's statuses."""

    def __init__(self, channel: grpc.aio.Channel, failures: int) -> None:
        self._channel = channel
        self.failures = failures

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        watch = self._channel.unary_stream(*arguments, **options)

        def fail_or_watch(request: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise OSError("no more of something")
            return watch(request)

        return fail_or_watch


@pytest.fixture
async def inference() -> AsyncIterator[ScriptedInference]:
    async with ScriptedInference() as scripted:
        yield scripted


async def until(health: GrpcServiceHealth, state: ServiceState) -> None:
    async with asyncio.timeout(SECONDS):
        while health.reports()[0].state is not state:  # noqa: ASYNC110 - it tells nobody when it changes
            await asyncio.sleep(0.01)


async def test_an_error_that_no_service_sent_is_logged_and_the_watch_goes_on(
    inference: ScriptedInference, caplog: pytest.LogCaptureFixture
) -> None:
    async with grpc.aio.insecure_channel(inference.address) as channel:
        failing: Any = Failing(channel, failures=2)
        health = GrpcServiceHealth({"inference": failing}, token=lambda: "")
        health.start()
        try:
            await until(health, ServiceState.UNREACHABLE)
            await until(health, ServiceState.SERVING)
        finally:
            await health.close()
    told = [record for record in caplog.records if record.message == "the health of a service could not be watched"]
    assert [record.__dict__["watched"] for record in told] == ["inference"], "once for the two failures in a row"
    assert told[0].exc_info


async def test_a_service_that_goes_away_is_unreachable_and_its_return_is_seen(inference: ScriptedInference) -> None:
    async with grpc.aio.insecure_channel(inference.address) as channel:
        health = GrpcServiceHealth({"inference": channel}, token=lambda: "")
        health.start()
        try:
            await until(health, ServiceState.SERVING)
            await inference.stop()
            await until(health, ServiceState.UNREACHABLE)
            await inference.start()
            await until(health, ServiceState.SERVING)
        finally:
            await health.close()
