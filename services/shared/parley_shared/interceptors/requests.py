"""Reads the request of its bytes, after the caller is known to be allowed to send it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Method
from parley_shared.status import StatusError


def read(method: Method, behaviour: Behaviour) -> Behaviour:
    """Refuses bytes that are not the request's message with INVALID_ARGUMENT; those of a stream when the handler comes to them."""
    deserialize = method.deserialize
    if deserialize is None:
        return behaviour

    def message_of(request: bytes) -> Any:
        try:
            return deserialize(request)
        except Exception as error:
            # Which errors a deserializer raises differs between the implementations of protobuf.
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_FIELD",
                f"The bytes of the request are not a message that {method.path[1:]} takes.",
                metadata={"field": ""},
            ) from error

    async def messages_of(requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for request in requests:
            yield message_of(request)

    async def serve(request: Any, call: Call) -> Any:
        return await behaviour(messages_of(request) if method.takes_stream else message_of(request), call)

    return serve
