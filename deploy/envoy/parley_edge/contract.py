"""What the edge reads in the contracts: who may pass without a token, what may be retried, what has a REST path.

It knows descriptors. It does not know Envoy, and it holds no list of methods: a new rpc is at the edge when it is in a proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from parley.access.v1 import access_pb2

SERVED_BY: Final[Mapping[str, str]] = {
    "parley.ai.v1": "chat",
    "parley.chat.v1": "chat",
    "parley.events.v1": "chat",
    "parley.flags.v1": "chat",
    "parley.usage.v1": "chat",
    "parley.identity.v1": "chat",
    "parley.openai.v1": "chat",
    "parley.system.v1": "chat",
    "parley.telemetry.v1": "chat",
    "parley.mcp.v1": "chat",
    "parley.inference.v1": "inference",
    "parley.retrieval.v1": "retrieval",
    "parley.workspace.v1": "chat",
}
"""The one thing that the contracts do not say: which process serves a package."""

UPLOADED_TO: Final = ("chat", "retrieval")
"""The processes to which the edge has routes for bodies as long as files."""


class ContractError(Exception):
    """The contracts ask for something that the edge cannot do."""


@dataclass(frozen=True)
class Method:
    """One rpc, as the edge sees it."""

    package: str
    """Its package, for example `parley.chat.v1`."""
    service: str
    """Its service's full name, for example `parley.chat.v1.ChatService`."""
    name: str
    """Its own name, for example `StreamReply`."""
    read: bool
    """Whether it is declared to have no side effects: those are retried."""
    anonymous: bool
    """Whether it is declared to need no token."""
    takes_stream: bool
    """Whether its request is a stream: what is uploaded."""
    rest_paths: tuple[str, ...]
    """The path templates of its REST forms; empty when it has none."""

    @property
    def path(self) -> str:
        """What a gRPC call of it has in `:path`."""
        return f"/{self.service}/{self.name}"

    @property
    def served_by(self) -> str:
        """The process that serves it."""
        try:
            return SERVED_BY[self.package]
        except KeyError:
            message = f"no process serves the package {self.package}: add it to SERVED_BY in {__name__}"
            raise ContractError(message) from None


def openapi_file() -> Path:
    """Where the OpenAPI document of the REST paths is, which is made with the descriptor set."""
    return Path(str(files("parley"))) / "openapi.json"


def descriptor_file() -> Path:
    """Where the descriptor set of all contracts is, with what they import."""
    return Path(str(files("parley"))) / "contract.binpb"


@cache
def methods() -> tuple[Method, ...]:
    """Every rpc of every contract, in the order of the descriptor set."""
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(descriptor_file().read_bytes())
    return tuple(
        _method(file.package, f"{file.package}.{service.name}", method)
        for file in descriptors.file
        for service in file.service
        for method in service.method
    )


def rest_services() -> list[str]:
    """The services that have a REST form, for the transcoder."""
    return sorted({method.service for method in methods() if method.rest_paths})


def rest_roots() -> list[str]:
    """The first segments of all REST paths, for example `/api`."""
    return sorted({"/" + path.split("/")[1] for method in methods() for path in method.rest_paths})


def stream_switches() -> list[str]:
    """The REST paths at which `"stream": true`, in the body or a GET's query, asks for the twin that streams: `<path>:stream`."""
    paths = {path for method in methods() for path in method.rest_paths}
    return sorted(path for path in paths if f"{path}:stream" in paths)


def is_openai(path: str) -> bool:
    """Whether a REST path is one that clients of OpenAI's API call: they are answered in its words."""
    return path.startswith("/openai/")


def open_methods() -> list[str]:
    """The gRPC paths that pass without a token."""
    return [method.path for method in methods() if method.anonymous]


def packages_of(process: str) -> list[str]:
    """The packages that the process serves."""
    return sorted({method.package for method in methods() if method.served_by == process})


def reads_of(process: str) -> list[str]:
    """The gRPC paths of what may be retried."""
    return [method.path for method in methods() if method.served_by == process and method.read]


def uploads_to(process: str) -> list[Method]:
    """What takes a body as long as a file, at one of the processes."""
    taken = [method for method in methods() if method.takes_stream]
    elsewhere = [method.path for method in taken if method.served_by not in UPLOADED_TO]
    if elsewhere:
        message = (
            f"the edge knows uploads to {', '.join(UPLOADED_TO)} only, and these are elsewhere: {', '.join(elsewhere)}"
        )
        raise ContractError(message)
    return [method for method in taken if method.served_by == process]


def sign_ins() -> list[str]:
    """The gRPC paths that cost something and need no token: what a guesser of passwords calls."""
    guarded = [method for method in methods() if method.anonymous and not method.read]
    elsewhere = [method.path for method in guarded if method.served_by != "chat"]
    if elsewhere:
        message = f"the edge limits sign-ins at chat only, and these are elsewhere: {', '.join(elsewhere)}"
        raise ContractError(message)
    return [method.path for method in guarded]


def _method(package: str, service: str, method: descriptor_pb2.MethodDescriptorProto) -> Method:
    options = method.options
    rule = options.Extensions[annotations_pb2.http]
    rules = [rule, *rule.additional_bindings] if options.HasExtension(annotations_pb2.http) else []
    return Method(
        package=package,
        service=service,
        name=method.name,
        read=options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
        anonymous=options.Extensions[access_pb2.rule].anonymous,
        takes_stream=method.client_streaming,
        rest_paths=tuple(
            binding.custom.path if kind == "custom" else getattr(binding, kind)
            for binding in rules
            if (kind := binding.WhichOneof("pattern"))
        ),
    )
