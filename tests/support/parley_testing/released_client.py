"""A client of the last release: it knows protos/released.binpb and nothing else, as a program that nobody has rebuilt since.

Its messages are made at run time from that descriptor set, in a pool of their own. None of today's generated code is in it.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor

from parley_testing.tools import ROOT

SECONDS = 60

Metadata = tuple[tuple[str, str], ...]


@functools.cache
def released_contract() -> descriptor_pb2.FileDescriptorSet:
    """The contract of the last release, which `make release-contract` wrote."""
    return descriptor_pb2.FileDescriptorSet.FromString((ROOT / "protos" / "released.binpb").read_bytes())


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in released_contract().file:
        pool.Add(file)
    return pool


def released_methods() -> list[MethodDescriptor]:
    """Every rpc of the last release."""
    return [
        _pool().FindServiceByName(f"{file.package}.{service.name}").methods_by_name[method.name]
        for file in released_contract().file
        for service in file.service
        for method in service.method
    ]


@dataclass(frozen=True)
class ReleasedClient:
    """Calls rpcs by the names that they had."""

    channel_of: Callable[[str], grpc.aio.Channel]
    """The channel to the service of a package, for example `parley.chat.v1`."""
    metadata_of: Callable[[str], Metadata]
    """The metadata of its calls there."""

    async def call(self, service: str, method: str, **fields: Any) -> Any:
        """One call of a service, for example `parley.chat.v1.ChatService`, and its answer."""
        package, path, request, read = self._prepare(service, method, fields)
        unary: Any = self.channel_of(package).unary_unary(
            path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=read
        )
        return await unary(request, metadata=self.metadata_of(package), timeout=SECONDS)

    async def stream(self, service: str, method: str, **fields: Any) -> AsyncIterator[Any]:
        """What a call that streams sends, as it comes."""
        package, path, request, read = self._prepare(service, method, fields)
        streaming: Any = self.channel_of(package).unary_stream(
            path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=read
        )
        async for response in streaming(request, metadata=self.metadata_of(package), timeout=SECONDS):
            yield response

    @staticmethod
    def _prepare(service: str, method: str, fields: dict[str, Any]) -> tuple[str, str, Any, Any]:
        descriptor = _pool().FindServiceByName(service).methods_by_name[method]
        request = message_factory.GetMessageClass(descriptor.input_type)(**fields)
        read = message_factory.GetMessageClass(descriptor.output_type).FromString
        return service.rpartition(".")[0], f"/{service}/{method}", request, read
