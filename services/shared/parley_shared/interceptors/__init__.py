"""What happens around every call, one concern a file, in an order that has reasons.

From the outside in:

1. `telemetry`: opens the span first, so that everything below has a trace id.
2. `traffic`: measures the call; inside the span, whose trace a collector can show beside the figure.
3. `logs`: one line per call; inside the span to name it, outside the errors to see how the call ended.
4. `errors`: turns whatever is raised below into a status with details.
5. `deadline`: ends the call just before its caller gives up; a status can still be sent.
6. `authentication`: who calls and whether they may; below the errors because a refusal is one.
7. `crowding`: counts the streams of who calls, before anything of a stream is read.
8. `requests`: reads the request only when its caller may send it.
9. `idleness`: next to the handler, because it is the one that sees every message of a stream.

A concern wraps a coroutine that serves one call. For a stream the innermost of them writes the messages, so that a concern costs
nothing per message, and so that all of a call, closing the handler's generator included, happens in one task and one context.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from parley_shared.access import access_rules
from parley_shared.interceptors import (
    authentication,
    crowding,
    deadline,
    errors,
    idleness,
    logs,
    requests,
    telemetry,
    traffic,
)
from parley_shared.interceptors.call import Behaviour, Call, Concern, Method
from parley_shared.status import StatusError
from parley_shared.tokens import TokenVerifier

__all__ = ["ParleyInterceptor"]


class ParleyInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each rpc's handler in all concerns, once; later calls of the rpc find it wrapped."""

    def __init__(
        self,
        *,
        verifier: TokenVerifier,
        to_status_error: Callable[[Exception], StatusError | None],
        stream_idle_seconds: float,
        max_streams_per_user: int,
    ) -> None:
        self._stream_idle_seconds = stream_idle_seconds
        self._concerns: list[Concern] = [
            telemetry.traced,
            traffic.measured,
            logs.logged,
            errors.answered(to_status_error),
            deadline.limited,
            authentication.authenticated(verifier),
            crowding.bounded(max_streams_per_user),
            requests.read,
        ]
        self._infrastructure: list[Concern] = [logs.logged]
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The wrapped handler; None, which gRPC answers with UNIMPLEMENTED, when there is none.

        Generated servicers have a plain function for what nobody implemented; everything of ours is asynchronous.
        """
        path = handler_call_details.method
        if path not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            method = Method.of(path, access_rules().get(path), handler)
            if not (inspect.iscoroutinefunction(method.handler) or inspect.isasyncgenfunction(method.handler)):
                return None
            self._handlers[path] = self._wrap(method, handler)
        return self._handlers[path]

    def _wrap(self, method: Method, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        idle_seconds = None if method.is_infrastructure else self._stream_idle_seconds
        behaviour: Behaviour = idleness.served(method, idle_seconds)
        for concern in reversed(self._infrastructure if method.is_infrastructure else self._concerns):
            behaviour = concern(method, behaviour)

        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            return await behaviour(request, Call(method, context))

        return method.constructor(
            serve,
            request_deserializer=handler.request_deserializer if method.is_infrastructure else None,
            response_serializer=handler.response_serializer,
        )
