"""Health: gRPC's own health service, per service name and, under "", for the process as a whole.

gRPC's ready-made servicer keeps its watchers for ever, and a server that drains would wait for each of them: this one tells them
NOT_SERVING and lets them go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

NAME = "grpc.health.v1.Health"
"""The full name of the service."""

VERSION_KEY = "x-parley-version"
"""The metadata that tells a watcher the service's release."""

_Response = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Says NOT_SERVING until `serve`, and again from `drain` on."""

    def __init__(self, names: Iterable[str], version: str) -> None:
        self._version = version
        self._names = frozenset(("", *names))
        self._status: Any = _Response.NOT_SERVING
        self._draining = False
        self._changed = asyncio.Event()

    def serve(self) -> None:
        """From now on: SERVING."""
        self._change(_Response.SERVING)

    def drain(self) -> None:
        """From now on: NOT_SERVING; streams of watchers end after saying so."""
        self._draining = True
        self._change(_Response.NOT_SERVING)

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """The state of a service; NOT_FOUND for one that is not served here."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service is served here")
        return _Response(status=self._status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[health_pb2.HealthCheckResponse]:
        """The state of a service now, and whenever it changes."""
        await context.send_initial_metadata(((VERSION_KEY, self._version),))
        known = request.service in self._names
        last: int | None = None
        while True:
            changed = self._changed
            status = self._status if known else _Response.SERVICE_UNKNOWN
            if status != last:
                yield _Response(status=status)
                last = status
            if self._draining:
                return
            await changed.wait()

    def _change(self, status: Any) -> None:
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()
