"""One way to one Parley: a channel, and what every call on it has: a token, a deadline, trace context, retries where they are safe.

It knows no service of Parley's beyond the one that gives tokens, and tells its `health` what became of every call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from parley_client.address import Address
from parley_client.backoff import Backoff
from parley_client.circuit import CircuitPolicy
from parley_client.connection import Connection, Request, Response, SideName, cancelled_by_caller
from parley_client.errors import ClientClosedError, ParleyError, UnauthenticatedError, error_from
from parley_client.identity import Identity
from parley_client.rpc import Rpc
from parley_client.side_health import SideHealth
from parley_client.tokens import TokenProvider, check_token
from parley_client.trace_context import trace_context
from parley_client.version import VERSION

Metadata = tuple[tuple[str, str], ...]

# A list of 200 long messages, or a document of a million characters, is more than gRPC's own 4 MiB.
_MOST_MESSAGE_BYTES = 64 * 1024 * 1024


class ChannelConnection(Connection):
    """Makes calls on one channel."""

    def __init__(
        self,
        address: Address,
        credentials: grpc.ChannelCredentials | None,
        tokens: TokenProvider | None,
        *,
        backoff: Backoff,
        timeout_seconds: float,
        side: SideName = "primary",
        health: SideHealth | None = None,
    ) -> None:
        self.side: SideName = side
        # By itself there is nothing to leave it for: what is there again counts at once.
        self.health = health or SideHealth(CircuitPolicy(successes=1, stay_seconds=0.0), time.monotonic)
        self.leaves: Callable[[Rpc[Any, Any]], bool] = _never
        """Says of a call that failed and could be tried again whether that is better done elsewhere."""
        self.address = address
        self.identity = Identity(self)
        self._tokens = tokens
        self._backoff = backoff
        self._timeout_seconds = timeout_seconds
        self._closed = False
        options = _channel_options(address)
        self._channel = (
            grpc.aio.insecure_channel(address.target, options)
            if credentials is None
            else grpc.aio.secure_channel(address.target, credentials, options)
        )

    @property
    def has_tokens(self) -> bool:
        """Whether its calls carry a token."""
        return self._tokens is not None

    @property
    def shared_data(self) -> bool:
        """True: it is one Parley."""
        return True

    def at(self, rpc: Rpc[Request, Response], *, side: SideName | None = None) -> ChannelConnection:
        """This one. ValueError for a side that there is not."""
        if side not in {None, self.side}:
            raise ValueError(f"this client has no {side}")
        return self

    def heard(self, rpc: Rpc[Request, Response]) -> None:
        """Notes that a call was answered."""
        self.health.answered(rpc.feature)

    def note(self, rpc: Rpc[Request, Response], error: ParleyError) -> None:
        """Notes what became of a call that failed."""
        connected = self._channel.get_state() is grpc.ChannelConnectivity.READY
        self.health.failed(rpc.feature, error, connected=connected)

    async def close(self) -> None:
        """Ends the running calls and closes the channel."""
        self._closed = True
        await self._channel.close()

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
        deadline = time.monotonic() + (self._timeout_seconds if timeout_seconds is None else timeout_seconds)
        failures = 0
        # Whether an earlier attempt may have arrived: then the call as a whole is not unsent.
        arrived = False
        token = ""
        refusal: UnauthenticatedError | None = None
        while True:
            try:
                token = await self._token(rpc, instead_of=token, refusal=refusal)
                return await self._attempt(rpc, request, token, deadline)
            except UnauthenticatedError as error:
                if refusal is not None or not token:
                    raise
                refusal = error
            except ParleyError as error:
                failures += 1
                arrived = arrived or not error.unsent
                error.unsent = not arrived
                sendable = (error.cut and not error.reason) if cut_only else rpc.repeatable and error.retryable
                pause = self._backoff.pause_seconds(failures, error.retry_after) if sendable else None
                if pause is None or time.monotonic() + pause >= deadline or self.leaves(rpc):
                    raise
                await asyncio.sleep(pause)

    def open_stream(
        self, rpc: Rpc[Request, Response], request: Request, token: str
    ) -> grpc.aio.UnaryStreamCall[Message, Response]:
        """Begins a server stream. It has no deadline: an answer takes as long as it takes, and the server ends an idle stream."""
        self._check_open()
        multicallable = self._channel.unary_stream(
            rpc.path,
            request_serializer=rpc.request.SerializeToString,
            response_deserializer=rpc.response.FromString,
        )
        return multicallable(request, metadata=_metadata(token))

    async def stream(self, rpc: Rpc[Request, Response], request: Request) -> AsyncGenerator[Response, None]:
        """The messages of a server stream, in their order. Raises ParleyError; closing it cancels the call.

        Nothing is tried again, apart from a stream whose token was refused, with another token.
        """
        token = await self.token()
        refusal: UnauthenticatedError | None = None
        while True:
            call = self.open_stream(rpc, request, token)
            heard = False
            try:
                while isinstance(message := await call.read(), rpc.response):
                    if not heard:
                        heard = True
                        self.heard(rpc)
                    yield message
            except grpc.aio.AioRpcError as error:
                refusal = self._first_refusal(rpc, error, token, refusal)
            except asyncio.CancelledError:
                if self._closed and not cancelled_by_caller():
                    raise ClientClosedError from None
                raise
            else:
                return
            finally:
                call.cancel()
            token = await self.token(instead_of=token, refusal=refusal)

    def _first_refusal(
        self, rpc: Rpc[Request, Response], error: grpc.aio.AioRpcError, token: str, before: UnauthenticatedError | None
    ) -> UnauthenticatedError:
        """That the token was refused, for the first time: another one may do. Raises every other error."""
        told = error_from(error)
        self.note(rpc, told)
        if not isinstance(told, UnauthenticatedError) or before is not None or not token:
            raise told from None
        return told

    async def upload(
        self,
        rpc: Rpc[Request, Response],
        requests: Callable[[], AsyncIterator[Request]],
        *,
        timeout_seconds: float,
    ) -> Response:
        """Makes a call whose request is a stream. Raises ParleyError. Sent again only when its token was refused, with another token."""
        token = await self.token()
        refusal: UnauthenticatedError | None = None
        while True:
            self._check_open()
            multicallable = self._channel.stream_unary(
                rpc.path,
                request_serializer=rpc.request.SerializeToString,
                response_deserializer=rpc.response.FromString,
            )
            try:
                response = await multicallable(requests(), timeout=timeout_seconds, metadata=_metadata(token))
            except grpc.aio.AioRpcError as error:
                refusal = self._first_refusal(rpc, error, token, refusal)
            except asyncio.CancelledError:
                if self._closed and not cancelled_by_caller():
                    raise ClientClosedError from None
                raise
            else:
                self.heard(rpc)
                return response
            token = await self.token(instead_of=token, refusal=refusal)

    async def probe(self, rpc: Rpc[Request, Response], request: Request, *, timeout_seconds: float) -> Response | None:
        """One attempt of a call without a token, of which `health` hears nothing. None when it failed."""
        try:
            return await self._unary(rpc, request, "", time.monotonic() + timeout_seconds)
        except grpc.aio.AioRpcError:
            return None

    async def token(self, *, instead_of: str = "", refusal: UnauthenticatedError | None = None) -> str:
        """The token that a call should carry now; empty without a provider. Raises the refusal when there is no other token.

        TokenError when the provider gives what no call can carry: gRPC would take it for a connection that fails.
        """
        if self._tokens is None:
            return ""
        if refusal is None:
            return _carried(await self._tokens.token(self.identity))
        self._tokens.forget(instead_of)
        token = _carried(await self._tokens.token(self.identity))
        if token == instead_of:
            raise refusal
        return token

    async def _token(
        self, rpc: Rpc[Request, Response], *, instead_of: str, refusal: UnauthenticatedError | None
    ) -> str:
        return "" if rpc.anonymous else await self.token(instead_of=instead_of, refusal=refusal)

    async def _attempt(self, rpc: Rpc[Request, Response], request: Request, token: str, deadline: float) -> Response:
        try:
            response = await self._unary(rpc, request, token, deadline)
        except grpc.aio.AioRpcError as error:
            told = error_from(error)
            self.note(rpc, told)
            raise told from None
        self.heard(rpc)
        return response

    async def _unary(self, rpc: Rpc[Request, Response], request: Request, token: str, deadline: float) -> Response:
        self._check_open()
        multicallable = self._channel.unary_unary(
            rpc.path,
            request_serializer=rpc.request.SerializeToString,
            response_deserializer=rpc.response.FromString,
        )
        try:
            return await multicallable(
                request, timeout=max(deadline - time.monotonic(), 0.001), metadata=_metadata(token)
            )
        except asyncio.CancelledError:
            if self._closed and not cancelled_by_caller():
                raise ClientClosedError from None
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError


def _never(rpc: Rpc[Any, Any]) -> bool:
    del rpc
    return False


def _carried(token: str) -> str:
    return check_token(token) if token else ""


def _metadata(token: str) -> Metadata:
    authorization = (("authorization", f"Bearer {token}"),) if token else ()
    return (*authorization, *trace_context())


def _channel_options(address: Address) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.primary_user_agent", f"parley-client/{VERSION}"),
        # This package decides what is tried again; gRPC's own retries would hide how often.
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES),
        # A network that swallows everything is noticed within 40 seconds of an answer, and never while nothing runs.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # gRPC's own pauses between connection attempts reach two minutes, in which a Parley that is back would not be seen.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    if address.loopback:
        # A proxy for the outside world cannot reach this machine's own ports.
        options.append(("grpc.enable_http_proxy", 0))
    return options
