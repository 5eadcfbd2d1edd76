"""Channels to another service: traced, with the deadline of the running call carried on, and without hidden retries.

It balances no load and finds no addresses: that is the mesh's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import grpc
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from parley_shared.interceptors.deadline import remaining_seconds
from parley_shared.mutual_tls import channel_credentials
from parley_shared.settings import TlsFiles
from parley_shared.telemetry import PROPAGATOR, start_span

DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""The same as the servers' default."""


def open_channel(
    address: str, *, tls: TlsFiles | None = None, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
) -> grpc.aio.Channel:
    """A channel to "host:port". It connects when it is first used, and again within about a second when the service is back.

    With `tls`, both sides prove who they are; the certificate of the other must be for the host of the address.

    A call without a timeout has what is left of the running call's; one with a timeout has the lesser of both. What a call
    returns is gRPC's own call object: nothing stands between `read()` or `cancel()` and the wire.
    """
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # Only the caller knows what may be done twice.
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # A connection of one's own: what is broken for one channel is not remembered for another.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if tls is None:
        return _TracedChannel(grpc.aio.insecure_channel(address, options=options))
    return _TracedChannel(grpc.aio.secure_channel(address, channel_credentials(tls), options=options))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that carries the token."""
    return (("authorization", f"Bearer {token}"),)


class _TracedChannel(grpc.aio.Channel):
    """A channel whose calls are traced. gRPC's interceptors would put a task around each call and a generator around each stream."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _traced(method, self._channel.unary_unary(method, *args, **kwargs), takes_request=True)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _traced(method, self._channel.unary_stream(method, *args, **kwargs), takes_request=True)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _traced(method, self._channel.stream_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _traced(method, self._channel.stream_stream(method, *args, **kwargs))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()


def _traced(path: str, start: Callable[..., Any], *, takes_request: bool = False) -> Callable[..., Any]:
    name = path[1:]
    attributes = {"rpc.system.name": "grpc", "rpc.method": name}

    def call(request: Any = None, *, timeout: float | None = None, metadata: Any = None, **kwargs: Any) -> Any:
        left = remaining_seconds()
        if left is not None:
            timeout = left if timeout is None else min(timeout, left)
        span = start_span(name, attributes, kind=SpanKind.CLIENT)
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
        sent = (*(metadata or ()), *carrier.items())
        started = start(request, timeout=timeout, metadata=sent, **kwargs)
        started.add_done_callback(lambda ended: _end(span, ended))
        return started

    return call


def _end(span: Span, call: grpc.aio.Call) -> None:
    """Ends the span of a call that is done. Its code is known by now, so asking for it takes one step and no task."""
    asking = call.code()
    try:
        asking.send(None)
    except StopIteration as answer:
        code: grpc.StatusCode = answer.value
        span.set_attribute("rpc.response.status_code", code.name)
        if code not in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED):
            span.set_attribute("error.type", code.name)
            span.set_status(Status(StatusCode.ERROR))
    finally:
        span.end()
