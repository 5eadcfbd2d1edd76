"""Reads the request of its bytes, after the caller is known to be allowed to send it."""

from __future__ import annotations

from typing import Any

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Method
from parley_shared.status import StatusError


def read(method: Method, behaviour: Behaviour) -> Behaviour:
    """Refuses bytes that are not the request's message with INVALID_ARGUMENT. Streams of requests are read by gRPC itself."""
    deserialize = method.deserialize
    if deserialize is None:
        return behaviour

    async def serve(request: bytes, call: Call) -> Any:
        try:
            message = deserialize(request)
        except Exception as error:
            # Which errors a deserializer raises differs between the implementations of protobuf.
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_FIELD",
                f"The bytes of the request are not a message that {method.path[1:]} takes.",
                metadata={"field": ""},
            ) from error
        return await behaviour(message, call)

    return serve
