"""The server's span of each call, child of the caller's when the metadata names one. One span a call, none per message."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from parley_shared.interceptors.call import Behaviour, Call, Method
from parley_shared.interceptors.traffic import FAULTS
from parley_shared.telemetry import PROPAGATOR, start_span


def traced(method: Method, behaviour: Behaviour) -> Behaviour:
    """Gives each call a span."""
    name = method.path[1:]
    attributes = {"rpc.system.name": "grpc", "rpc.method": name}

    async def serve(request: Any, call: Call) -> Any:
        parent = PROPAGATOR.extract(call.metadata)
        span = start_span(name, attributes, kind=SpanKind.SERVER, parent=parent)
        # The task is this call's alone and ends with it: there is no context to go back to, and so nothing to detach.
        otel_context.attach(trace.set_span_in_context(span))
        try:
            return await behaviour(request, call)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            span.set_attribute("rpc.response.status_code", call.code.name)
            if call.principal is not None:
                span.set_attribute("user.id", call.principal.user_id)
            if call.code in FAULTS:
                span.set_attribute("error.type", call.reason or call.code.name)
                span.set_status(Status(StatusCode.ERROR))
            span.end()

    return serve
