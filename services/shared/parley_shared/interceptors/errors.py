"""Errors become statuses: with ErrorInfo and the trace id, and without anything internal.

The words of an unknown error go to the log under the trace id and nowhere else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, NoReturn

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Concern, Method
from parley_shared.status import DETAILS_KEY, StatusError, internal
from parley_shared.telemetry import current_trace_id

_logger = logging.getLogger(__name__)


def answered(to_status_error: Callable[[Exception], StatusError | None]) -> Concern:
    """Ends a call that raised with a status. Being cancelled passes, and so does a handler's own `context.abort`."""

    def concern(method: Method, behaviour: Behaviour) -> Behaviour:
        async def serve(request: Any, call: Call) -> Any:
            try:
                return await behaviour(request, call)
            except grpc.aio.AbortError:
                call.code = _code_of(call)
                raise
            except StatusError as error:
                await _end(call, error)
            except Exception as error:  # noqa: BLE001 - the one place where every error ends
                await _end(call, _known(error, to_status_error) or _unknown(method, error))

        return serve

    return concern


def _known(error: Exception, to_status_error: Callable[[Exception], StatusError | None]) -> StatusError | None:
    try:
        return to_status_error(error)
    except Exception:
        _logger.exception("an error could not be turned into a status")
        return None


def _unknown(method: Method, error: Exception) -> StatusError:
    _logger.error("%s failed", method.path[1:], exc_info=error)
    return internal()


async def _end(call: Call, error: StatusError) -> NoReturn:
    call.code, call.reason = error.code, error.reason
    status = error.to_status(current_trace_id())
    trailing: list[tuple[str, str | bytes]] = [(DETAILS_KEY, status.SerializeToString())]
    if error.retry_after_seconds is not None:
        # What callers of REST look at; for callers of gRPC it is in the details, to the nanosecond.
        trailing.append(("retry-after", str(max(1, math.ceil(error.retry_after_seconds)))))
    await call.context.abort(error.code, status.message, tuple(trailing))
    raise AssertionError("abort raises")


def _code_of(call: Call) -> grpc.StatusCode:
    """The code that a handler gave to `context.abort`: gRPC keeps it as a number."""
    given = call.context.code()
    return next((code for code in grpc.StatusCode if given in (code, code.value[0])), grpc.StatusCode.UNKNOWN)
