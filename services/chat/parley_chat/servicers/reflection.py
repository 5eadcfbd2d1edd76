"""What chat's reflection describes: every service of the contract, not only its own.

The edge sends reflection to chat alone, because Envoy does not merge the answers of several services. So chat answers for
all: `grpcurl HOST:PORT list` shows the whole of Parley.
"""

from __future__ import annotations

from importlib import import_module, resources

from google.protobuf import descriptor_pb2


def services_of_the_contract() -> tuple[str, ...]:
    """The full names of all services, in alphabetical order. Loads their generated code, which reflection reads."""
    contract = (resources.files("parley") / "contract.binpb").read_bytes()
    names = []
    for file in descriptor_pb2.FileDescriptorSet.FromString(contract).file:
        if file.service:
            import_module(f"{file.name.removesuffix('.proto').replace('/', '.')}_pb2")
            names += [f"{file.package}.{service.name}" for service in file.service]
    return tuple(sorted(names))
