"""One log line per call: what was called, by whom, how it ended, how long it took. Health checks only at debug."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Method

_logger = logging.getLogger("parley.calls")

_SERIOUS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})


def logged(method: Method, behaviour: Behaviour) -> Behaviour:
    """Logs each call when it ends. The trace id is on every line of a call: the formatter adds it."""
    # Reads that need no token are what probes and the edge ask every few seconds.
    is_probe = method.is_infrastructure or (method.rule is not None and method.rule.anonymous and method.rule.reads)
    usual = logging.DEBUG if is_probe else logging.INFO

    async def serve(request: Any, call: Call) -> Any:
        started = time.perf_counter()
        try:
            return await behaviour(request, call)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            level = logging.WARNING if call.code in _SERIOUS else usual
            if _logger.isEnabledFor(level):
                facts: dict[str, Any] = {"duration_ms": round((time.perf_counter() - started) * 1000, 1)}
                if call.reason:
                    facts["reason"] = call.reason
                if call.principal is not None:
                    facts["user_id"] = call.principal.user_id
                    if call.principal.service:
                        facts["calling_service"] = call.principal.service
                facts |= {"method": method.path[1:], "code": call.code.name}
                _logger.log(level, "%s %s", method.path[1:], call.code.name, extra=facts)

    return serve
