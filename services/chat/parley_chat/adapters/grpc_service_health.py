"""Watches inference and retrieval through the gRPC health protocol, and checks every few seconds that they answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from parley.inference.v1 import model_service_pb2, model_service_pb2_grpc
from parley_shared.channels import bearer
from parley_shared.health import VERSION_KEY
from parley_shared.telemetry import untraced

from parley_chat.ports.service_health import DefaultModel, ServiceReport, ServiceState

_STATES = {
    health_pb2.HealthCheckResponse.SERVING: ServiceState.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING: ServiceState.NOT_SERVING,
}
_AGAIN_SECONDS = 0.5
_CHECK_SECONDS = 5.0
"""Between two checks of a service that is watched. A watch alone tells nothing of a service that hangs."""
_ANSWER_SECONDS = 15.0
"""How long a check waits for its answer."""
_Watch = grpc.aio.UnaryStreamMultiCallable[Message, health_pb2.HealthCheckResponse]

logger = logging.getLogger(__name__)


class GrpcServiceHealth:
    """Keeps one health watch open to each service. `start` and `close` frame its life."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], token: Callable[[], str]) -> None:
        self._channels = channels
        self._token = token
        self._reports = {name: ServiceReport(name, ServiceState.UNKNOWN, None, "") for name in channels}
        self._versions: dict[str, str] = {}
        """As last heard, also of a service that does not answer now."""
        self._watches: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to watch."""
        self._watches = [
            asyncio.create_task(looks(name), name=f"health of {name}")
            for name in self._channels
            for looks in (self._watch, self._check)
        ]

    async def close(self) -> None:
        """Stops watching."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def reports(self) -> list[ServiceReport]:
        """Tells the states as last seen."""
        return list(self._reports.values())

    async def default_model(self) -> DefaultModel | None:
        """Asks inference; None when it does not answer within a second."""
        stub = model_service_pb2_grpc.ModelServiceStub(self._channels["inference"])
        try:
            response = await stub.ListModels(
                model_service_pb2.ListModelsRequest(), metadata=bearer(self._token()), timeout=1
            )
        except grpc.aio.AioRpcError:
            return None
        if not response.models:
            return None
        return DefaultModel(response.models[0].model, response.models[0].offline)

    async def _watch(self, name: str) -> None:
        watch = self._channels[name].unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        told = False
        while True:
            try:
                await self._watch_once(name, watch)
                told = False
            except grpc.aio.AioRpcError:
                told = False  # Whatever the reason: it does not answer, which is what is reported.
            except Exception:
                # A watch that ended would report for ever what it saw last. Told once, and not twice a second.
                if not told:
                    logger.exception("the health of a service could not be watched", extra={"watched": name})
                told = True
            self._see(name, ServiceState.UNREACHABLE, "")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _watch_once(self, name: str, watch: _Watch) -> None:
        """Reports what the service says until it says no more."""
        call = watch(health_pb2.HealthCheckRequest())
        try:
            version = ""
            while isinstance(response := await call.read(), health_pb2.HealthCheckResponse):
                metadata = await call.initial_metadata()
                version = str(dict(metadata or ()).get(VERSION_KEY, version))
                self._versions[name] = version
                self._see(name, _STATES.get(response.status, ServiceState.NOT_SERVING), version)
                self._reports[name] = replace(self._reports[name], checked=datetime.now(UTC))
        finally:
            call.cancel()

    async def _check(self, name: str) -> None:
        """Asks every few seconds, because a service that hangs changes nothing in its watch. One that is away is the watch's business."""
        hangs = False
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            check = self._channels[name].unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                with untraced():
                    response = await check(health_pb2.HealthCheckRequest(), timeout=_ANSWER_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    hangs = True
                    self._see(name, ServiceState.UNREACHABLE, "")
                continue
            report = self._reports[name]
            self._reports[name] = replace(report, checked=datetime.now(UTC))
            if hangs and report.state is ServiceState.UNREACHABLE:
                # Its watch has lived through it and says nothing new.
                self._see(name, _STATES.get(response.status, ServiceState.NOT_SERVING), self._versions.get(name, ""))
            hangs = False

    def _see(self, name: str, state: ServiceState, version: str) -> None:
        before = self._reports[name]
        if before.state is not state:
            self._reports[name] = ServiceReport(name, state, datetime.now(UTC), version, before.checked)
        elif before.version != version:
            self._reports[name] = replace(before, version=version)
