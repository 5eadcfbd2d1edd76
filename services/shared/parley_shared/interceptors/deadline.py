"""Deadlines: a call ends with a clean status just before its caller gives up, and what it calls has no more time than it has.

Work that outlives its call, like a turn, says so with `forget_deadline()` in its own task.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import Any

from parley_shared.interceptors.call import Behaviour, Call, Method
from parley_shared.status import deadline_exceeded

_MARGIN = 0.01
_MARGIN_SECONDS = 0.01
"""How long before the deadline the call ends, so that its status arrives before the caller's own clock strikes. gRPC rounds the
time that it sends up by as much as a hundredth."""

_deadline: ContextVar[float | None] = ContextVar("parley_deadline", default=None)


def remaining_seconds() -> float | None:
    """The time that the running call still has, 0 or more; None when it has no deadline."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def forget_deadline() -> None:
    """Frees the running task, and the tasks it starts, of the deadline of the call that started it."""
    _deadline.set(None)


def limited(method: Method, behaviour: Behaviour) -> Behaviour:
    """Ends calls whose time is over with DEADLINE_EXCEEDED."""
    del method

    async def serve(request: Any, call: Call) -> Any:
        remaining: Any = call.context.time_remaining()  # None without a deadline, whatever its stubs say
        if remaining is None:
            return await behaviour(request, call)
        remaining -= min(remaining * _MARGIN + _MARGIN_SECONDS, remaining * 0.1)
        _deadline.set(time.monotonic() + remaining)
        limit = asyncio.timeout(remaining)
        try:
            async with limit:
                answer = await behaviour(request, call)
        except TimeoutError as error:
            if limit.expired():
                raise deadline_exceeded() from error
            raise
        return answer

    return serve
