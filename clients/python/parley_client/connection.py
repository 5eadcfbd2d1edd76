"""The way to Parley, as everything in this package sees it: calls, streams and uploads. How they get there is behind it.

`ChannelConnection` is one channel to one Parley, `FailoverConnection` two of them.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from google.protobuf.message import Message

if TYPE_CHECKING:
    from parley_client.channel_connection import ChannelConnection
    from parley_client.identity import Identity
    from parley_client.rpc import Rpc

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

SideName: TypeAlias = Literal["primary", "secondary"]
"""One of the two Parleys that a client may have."""


class Connection(ABC):
    """Makes calls. Belongs to the event loop in which it was made."""

    identity: Identity
    """Signing in and refreshing, for token providers and users."""

    @property
    @abstractmethod
    def shared_data(self) -> bool:
        """Whether all that is behind it has the same data, so that a turn of one place can be read at any."""

    @abstractmethod
    def at(self, rpc: Rpc[Request, Response], *, side: SideName | None = None) -> ChannelConnection:
        """The one channel that a call of the rpc should take now, or that of a side. For what has to stay where it began."""

    @abstractmethod
    async def call(
        self,
        rpc: Rpc[Request, Response],
        request: Request,
        *,
        timeout_seconds: float | None = None,
        cut_only: bool = False,
    ) -> Response:
        """Makes a unary call within `timeout_seconds`, pauses and further attempts included. Raises ParleyError.

        Tries again when the contract says that the rpc may be repeated. `cut_only` is for a request that is made repeatable by what is
        in it, although its rpc is not: it is sent again only when the way was cut, and not when Parley answered with an error.
        """

    @abstractmethod
    def stream(self, rpc: Rpc[Request, Response], request: Request) -> AsyncGenerator[Response, None]:
        """The messages of a server stream, in their order. Raises ParleyError; closing it cancels the call.

        Nothing is tried again that has given a message, apart from a stream whose token was refused, with another token.
        """

    @abstractmethod
    async def upload(
        self,
        rpc: Rpc[Request, Response],
        requests: Callable[[], AsyncIterator[Request]],
        *,
        timeout_seconds: float,
    ) -> Response:
        """Makes a call whose request is a stream. Raises ParleyError. Sent again only when its token was refused, with another token."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the running calls and closes what is open."""


def cancelled_by_caller() -> bool:
    """Inside a caught CancelledError: whether the running task was cancelled, rather than the call under it closed by another."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
