"""A real server of parley_shared with a toy behind it: the inference contract, with handlers that a test writes.

For tests of what every service has in common; services test themselves with their own `bootstrap`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from parley.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from parley_shared.channels import open_channel
from parley_shared.serving import Registration, Server, build_server
from parley_shared.settings import Environment, ServiceSettings
from parley_shared.status import StatusError
from parley_shared.tokens import Principal, TokenVerifier

from parley_testing.tokens import TestKeys

NAME = "parley.inference.v1.InferenceService"

Request = inference_service_pb2.GenerateRequest
Response = inference_service_pb2.GenerateResponse
StreamRequest = inference_service_pb2.StreamGenerateRequest
StreamResponse = inference_service_pb2.StreamGenerateResponse


def message(text: str) -> StreamResponse:
    """A message of a stream."""
    return StreamResponse(text_delta=text)


class ToyServicer(inference_service_pb2_grpc.InferenceServiceServicer):
    """Both rpcs do what `unary` and `stream` say; by default they answer at once."""

    def __init__(self) -> None:
        self.unary: Callable[[Request, Any], Awaitable[Response]] = _answer
        self.stream: Callable[[StreamRequest, Any], AsyncGenerator[StreamResponse, None]] = _answers

    async def Generate(self, request: Request, context: Any) -> Response:
        """Does what `unary` says."""
        return await self.unary(request, context)

    async def StreamGenerate(self, request: StreamRequest, context: Any) -> AsyncIterator[StreamResponse]:
        """Does what `stream` says."""
        messages = self.stream(request, context)
        try:
            async for response in messages:
                yield response
        finally:
            await messages.aclose()


class Toy:
    """A started server, its servicer, and a channel to it."""

    def __init__(self, home: Path, server: Server, servicer: ToyServicer, keys: TestKeys) -> None:
        self.home = home
        self.server = server
        self.servicer = servicer
        self.keys = keys
        self.address = f"127.0.0.1:{server.port}"
        self.channel: grpc.aio.Channel = open_channel(self.address)
        self.stub = inference_service_pb2_grpc.InferenceServiceStub(self.channel)
        # Their published types know nothing of asyncio.
        self.health: Any = health_pb2_grpc.HealthStub(self.channel)
        self.reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, self.channel))

    def raw(self, path: str) -> Any:
        """The rpc of the path, with bytes for messages."""
        return self.channel.unary_unary(path)

    def token(
        self, user_id: str = "usr_toy", scope: str = "inference:invoke", **claims: Any
    ) -> tuple[tuple[str, str], ...]:
        """The metadata of a caller with the scope that the toy's rpcs ask for."""
        return (("authorization", f"Bearer {self.keys.mint(user_id, scope.split(), **claims)}"),)


@asynccontextmanager
async def running_toy(
    home: Path,
    *,
    to_status_error: Callable[[Exception], StatusError | None] = lambda error: None,
    is_revoked: Callable[[Principal], Awaitable[bool]] | None = None,
    narrowed: Callable[[Principal], Awaitable[Principal]] | None = None,
    **variables: str,
) -> AsyncIterator[Toy]:
    """Serves the toy on a free port. `variables` are settings: PARLEY_STREAM_IDLE_SECONDS="0.2"."""
    keys = TestKeys(home)
    settings = ServiceSettings.read(
        Environment({"PARLEY_HOME": str(home), "PARLEY_INFERENCE_PORT": "0", "PARLEY_DRAIN_SECONDS": "0"} | variables),
        service="inference",
        default_port=0,
    )
    servicer = ToyServicer()
    server = build_server(
        settings,
        [Registration(inference_service_pb2_grpc.add_InferenceServiceServicer_to_server, servicer, NAME)],
        verifier=TokenVerifier(
            settings.jwks_file,
            settings.token_issuer,
            settings.token_audience,
            is_revoked=is_revoked,
            narrowed=narrowed,
        ),
        to_status_error=to_status_error,
    )
    await server.start()
    toy = Toy(home, server, servicer, keys)
    try:
        yield toy
    finally:
        await toy.channel.close()
        await server.drain()


async def _answer(request: Request, context: Any) -> Response:
    del request, context
    return Response(text="answer")


async def _answers(request: StreamRequest, context: Any) -> AsyncGenerator[StreamResponse, None]:
    del request, context
    yield message("one")
    yield message("two")
