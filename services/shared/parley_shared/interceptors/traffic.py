"""Measures each call once, when it ends: a metric for those who collect them, and the process's own figures of the last minute."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Method
from parley_shared.metering import Counter, Histogram
from parley_shared.rpc_traffic import traffic_of

CALL_DURATION = Histogram(
    "rpc.server.call.duration",
    "s",
    "How long a call took that was served here, by method and code; of a stream, until its end.",
    (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0),
)
"""By OpenTelemetry's RPC conventions."""

ERRORS = Counter(
    "parley.rpc.errors",
    "{call}",
    "Calls that were refused or failed, by error.type: the name of the ErrorReason, or the code where there is none.",
)

FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What is the server's fault; a refusal is not, says the convention."""


def measured(method: Method, behaviour: Behaviour) -> Behaviour:
    """Measures the calls of a method that has a handler: what nobody serves makes no row of its own."""
    name = method.path[1:]
    traffic = traffic_of(name)
    attributes = {
        code: {"rpc.system.name": "grpc", "rpc.method": name, "rpc.response.status_code": code.name}
        for code in grpc.StatusCode
    }

    async def serve(request: Any, call: Call) -> Any:
        started = time.perf_counter()
        running = traffic.begin(lambda: call.principal.service if call.principal else "")
        try:
            return await behaviour(request, call)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            seconds = time.perf_counter() - started
            traffic.end(running, seconds, failed=call.code in FAULTS)
            CALL_DURATION.record(seconds, attributes[call.code])
            if call.code is not grpc.StatusCode.OK:
                ERRORS.add(1, {"error.type": call.reason or call.code.name})

    return serve
