"""One rpc of the contract: its path, its messages, and what the contract says of calling it again.

Everything but the types is read from the descriptors that the contract generates, so nothing here can drift from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from parley.access.v1 import access_pb2

from parley_client.features import feature_of

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True)
class Rpc(Generic[Request, Response]):
    """An rpc, typed by its messages."""

    service: ServiceDescriptor
    name: str
    request: type[Request]
    response: type[Response]
    path: str = field(init=False)
    """What gRPC calls it, for example `/parley.chat.v1.ChatService/GetSession`."""
    repeatable: bool = field(init=False)
    """Whether the contract allows a client to send it again without knowing what became of the first."""
    anonymous: bool = field(init=False)
    """Whether it is called without a token."""
    read_only: bool = field(init=False)
    """Whether it changes nothing, so that it may be asked of another Parley, too."""
    feature: str = field(init=False)
    """What it belongs to: a `FeatureName`, or the name of a service that this client does not know."""

    def __post_init__(self) -> None:
        method: MethodDescriptor = self.service.methods_by_name[self.name]
        if (method.input_type, method.output_type) != (self.request.DESCRIPTOR, self.response.DESCRIPTOR):
            raise TypeError(f"{self.service.full_name}.{self.name} has other messages")
        options = method.GetOptions()
        # frozen: these are facts of the contract, not arguments.
        object.__setattr__(self, "path", f"/{self.service.full_name}/{self.name}")
        object.__setattr__(
            self,
            "repeatable",
            options.idempotency_level in {MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT},
        )
        object.__setattr__(self, "read_only", options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS)
        object.__setattr__(self, "feature", feature_of(self.service.name))
        object.__setattr__(self, "anonymous", options.Extensions[access_pb2.rule].anonymous)
