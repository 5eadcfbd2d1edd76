"""A call and its method, as the concerns see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from parley_shared.access import Rule
from parley_shared.tokens import Principal

_INFRASTRUCTURE = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}
)


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc."""

    path: str
    """As gRPC writes it: "/parley.chat.v1.ChatService/SendMessage"."""
    rule: Rule | None
    """Who may call it; None when it is not in the contract."""
    handler: Callable[[Any, Any], Any]
    """The servicer's own method."""
    streams: bool
    """Whether it answers with a stream."""
    deserialize: Callable[[bytes], Any] | None
    """Makes a message of its bytes."""
    takes_stream: bool
    """Whether its request is a stream."""
    constructor: Callable[..., grpc.RpcMethodHandler[Any, Any]]
    """gRPC's constructor for handlers of this kind."""

    @classmethod
    def of(cls, path: str, rule: Rule | None, handler: grpc.RpcMethodHandler[Any, Any]) -> Method:
        """The method that the handler serves."""
        own: Any
        own, constructor = {
            (False, False): (handler.unary_unary, grpc.unary_unary_rpc_method_handler),
            (False, True): (handler.unary_stream, grpc.unary_stream_rpc_method_handler),
            (True, False): (handler.stream_unary, grpc.stream_unary_rpc_method_handler),
            (True, True): (handler.stream_stream, grpc.stream_stream_rpc_method_handler),
        }[handler.request_streaming, handler.response_streaming]
        deserialize, takes_stream = handler.request_deserializer, bool(handler.request_streaming)
        return cls(path, rule, own, bool(handler.response_streaming), deserialize, takes_stream, constructor)

    @property
    def is_infrastructure(self) -> bool:
        """Whether it is gRPC's own: health and reflection are open, and not traced."""
        return self.path[1:].partition("/")[0] in _INFRASTRUCTURE


@dataclass(slots=True)
class Call:
    """One running call. The concerns leave here what outer ones need to know."""

    method: Method
    context: grpc.aio.ServicerContext[Any, Any]
    principal: Principal | None = None
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    metadata: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = {
            key: value for key, value in self.context.invocation_metadata() or () if isinstance(value, str)
        }


Behaviour = Callable[[Any, Call], Awaitable[Any]]
"""Serves one call: returns the response of a unary rpc; writes the responses of a stream and returns None."""

Concern = Callable[[Method, Behaviour], Behaviour]
"""Wraps a behaviour."""
