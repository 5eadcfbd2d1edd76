"""Runs the handler, and ends response streams that carry no message for too long.

The clock starts anew with each message. A message costs one look at the loop's clock: one timer per stream looks when the last
message was, instead of a timer per message.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator
from typing import Any

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Method
from parley_shared.status import StatusError


def served(method: Method, idle_seconds: float | None) -> Behaviour:
    """The innermost behaviour: calls the handler; None for `idle_seconds` lets a stream be silent for ever."""
    handler = method.handler
    if not inspect.isasyncgenfunction(handler):
        if method.streams and idle_seconds is not None:
            raise TypeError(f"{method.path} must be an async generator that yields its responses")

        async def answer(request: Any, call: Call) -> Any:
            return await handler(request, call.context)

        return answer

    async def stream(request: Any, call: Call) -> None:
        messages: AsyncGenerator[Any, None] = handler(request, call.context)
        watch = _Watch(idle_seconds)
        write = call.context.write
        now = watch.loop.time
        try:
            async with watch.limit:
                async for message in messages:
                    await write(message)
                    watch.last = now()
        except TimeoutError as error:
            if watch.limit.expired() and idle_seconds is not None:
                raise _idle(idle_seconds) from error
            raise
        finally:
            watch.stop()
            # In this task, so that the generator's own clean-up sees its context variables.
            await messages.aclose()

    return stream


class _Watch:
    """One stream's timer. `limit` ends the block it guards when the stream has been idle for too long."""

    def __init__(self, idle_seconds: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.last = self.loop.time()
        self.limit = asyncio.timeout(None)
        self._idle_seconds = idle_seconds
        self._timer = None if idle_seconds is None else self.loop.call_at(self.last + idle_seconds, self._look)

    def _look(self) -> None:
        assert self._idle_seconds is not None  # noqa: S101 - for the type checker: no timer runs without it
        end = self.last + self._idle_seconds
        if end <= self.loop.time():
            self.limit.reschedule(end)
        else:
            self._timer = self.loop.call_at(end, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _idle(idle_seconds: float) -> StatusError:
    return StatusError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "ERROR_REASON_STREAM_IDLE",
        f"The stream carried no message for {idle_seconds:g} seconds.",
        metadata={"idle_seconds": f"{idle_seconds:g}"},
    )
