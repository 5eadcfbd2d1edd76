"""The watch over the health of the other services, against a real service that is watched through a channel that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley_chat.adapters import grpc_service_health
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


class Hanging(health_pb2_grpc.HealthServicer):
    """The health of a service whose watchers hear that all is well, and that answers no check while it hangs."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        await self.answers.wait()
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
        await asyncio.Event().wait()


async def test_a_service_that_hangs_is_unreachable_although_its_watch_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_service_health, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(grpc_service_health, "_ANSWER_SECONDS", 1.0)
    hanging, server = Hanging(), grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(hanging, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = GrpcServiceHealth({"retrieval": channel}, token=lambda: "")
        health.start()
        try:
            await until(health, ServiceState.SERVING)
            hanging.answers.clear()
            await until(health, ServiceState.UNREACHABLE)
            last_answer = health.reports()[0].checked
            assert last_answer is not None
            hanging.answers.set()
            await until(health, ServiceState.SERVING)
            async with asyncio.timeout(SECONDS):
                while health.reports()[0].checked == last_answer:  # noqa: ASYNC110 - it tells nobody when it changes
                    await asyncio.sleep(0.01)
        finally:
            await health.close()
            await server.stop(None)
