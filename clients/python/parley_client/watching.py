"""Streams whose every message is the whole of what is watched: one that is cut is begun again. Not those that go on after a cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import grpc

from parley_client.errors import ParleyError, UnavailableError
from parley_client.rpc import Request, Response, Rpc

if TYPE_CHECKING:
    from parley_client.backoff import Backoff
    from parley_client.connection import Connection


async def watched(
    connection: Connection, backoff: Backoff, rpc: Rpc[Request, Response], request: Request
) -> AsyncGenerator[Response, None]:
    """The messages of a stream, across cuts of the connection, until the caller stops reading.

    Raises the ParleyError of the last cut when the backoff is used up, and at once one that trying again does not mend.
    """
    failures = 0
    while True:
        try:
            async with aclosing(connection.stream(rpc, request)) as messages:
                async for message in messages:
                    failures = 0
                    yield message
            # A server that drains ends its streams.
            raise UnavailableError("The stream ended.", code=grpc.StatusCode.UNAVAILABLE)
        except ParleyError as error:
            failures += 1
            pause = backoff.pause_seconds(failures, error.retry_after) if error.retryable else None
            if pause is None:
                raise
            await asyncio.sleep(pause)
