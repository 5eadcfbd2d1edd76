"""The contract as data: its files, services, rpcs, and the comments that buf keeps.

It reads the protos through buf, never the generated code, so that tests can hold the one against the other.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from parley.access.v1 import access_pb2

from parley_testing.tools import ROOT, require_tool

# Field numbers of descriptor.proto, from which the paths of comments are made.
MESSAGE, ENUM, SERVICE = 4, 5, 6
MESSAGE_FIELD, NESTED_MESSAGE, ENUM_VALUE, METHOD = 2, 3, 2, 2


@dataclass(frozen=True)
class Rpc:
    """One rpc and what the contract declares of it."""

    package: str
    """For example `parley.chat.v1`."""
    service: str
    """For example `ChatService`."""
    method: descriptor_pb2.MethodDescriptorProto
    """Its descriptor."""
    comment: str
    """What stands above it."""

    @property
    def full_name(self) -> str:
        """For example `parley.chat.v1.ChatService/SendMessage`."""
        return f"{self.package}.{self.service}/{self.method.name}"

    @property
    def is_read(self) -> bool:
        """Whether it declares that it changes nothing."""
        return self.method.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS

    @property
    def rule(self) -> access_pb2.AccessRule | None:
        """Who may call it. None when it does not say."""
        options = self.method.options
        return options.Extensions[access_pb2.rule] if options.HasExtension(access_pb2.rule) else None

    @property
    def rest(self) -> tuple[str, str, str] | None:
        """Verb, path and body of its REST form. None when it has none."""
        options = self.method.options
        if not options.HasExtension(annotations_pb2.http):
            return None
        http = options.Extensions[annotations_pb2.http]
        verb = http.WhichOneof("pattern")
        return verb.upper(), getattr(http, verb), http.body


def copy_contract(target: Path) -> None:
    """Copies protos and buf's settings into a folder of their own, with the Google protos they stand on, so that buf runs there."""
    shutil.copytree(ROOT / "protos", target / "protos")
    shutil.copy(ROOT / "buf.yaml", target)
    for package, names in {
        "google.api": ("annotations", "http", "httpbody"),
        "google.rpc": ("code", "error_details", "status"),
    }.items():
        spec = importlib.util.find_spec(f"{package}.{names[0]}_pb2")
        assert spec is not None
        assert spec.origin is not None
        folder = target / ".build" / "googleapis" / package.replace(".", "/")
        folder.mkdir(parents=True)
        for name in names:
            shutil.copy(Path(spec.origin).with_name(f"{name}.proto"), folder)


def run_buf(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs buf in a folder; whether it succeeds is the caller's to judge."""
    return subprocess.run([require_tool("buf"), *arguments], cwd=where, text=True, capture_output=True, check=False)


@functools.cache
def contract_files() -> tuple[descriptor_pb2.FileDescriptorProto, ...]:
    """The project's own files of the contract, with comments, in the order of their names."""
    with tempfile.TemporaryDirectory() as folder:
        copy_contract(Path(folder))
        built = run_buf(Path(folder), "build", "-o", "contract.binpb")
        assert built.returncode == 0, built.stderr
        everything = descriptor_pb2.FileDescriptorSet.FromString((Path(folder) / "contract.binpb").read_bytes())
    return tuple(
        sorted((file for file in everything.file if file.name.startswith("parley/")), key=lambda file: file.name)
    )


def rpcs() -> list[Rpc]:
    """Every rpc of the contract."""
    found = []
    for file in contract_files():
        comments = _comments(file)
        for number, service in enumerate(file.service):
            for place, method in enumerate(service.method):
                comment = comments.get((SERVICE, number, METHOD, place), "")
                found.append(Rpc(file.package, service.name, method, comment))
    return found


def fields() -> Iterator[tuple[str, str]]:
    """Every field of every message: its full name and its comment."""
    for file in contract_files():
        comments = _comments(file)
        for number, message in enumerate(file.message_type):
            yield from _fields_of(message, f"{file.package}.{message.name}", (MESSAGE, number), comments)


def enum_values(enum_name: str) -> dict[str, str]:
    """The values of an enum at the top of a file, for example `ErrorReason`: name to comment, in the contract's order."""
    for file in contract_files():
        for number, enum in enumerate(file.enum_type):
            if enum.name == enum_name:
                comments = _comments(file)
                return {
                    value.name: comments.get((ENUM, number, ENUM_VALUE, place), "")
                    for place, value in enumerate(enum.value)
                }
    raise AssertionError(f"the contract has no enum {enum_name}")


def _fields_of(
    message: descriptor_pb2.DescriptorProto, name: str, path: tuple[int, ...], comments: dict[tuple[int, ...], str]
) -> Iterator[tuple[str, str]]:
    if message.options.map_entry:
        # Made by the compiler for a map, which has its comment where it stands.
        return
    for place, field in enumerate(message.field):
        yield f"{name}.{field.name}", comments.get((*path, MESSAGE_FIELD, place), "")
    for place, nested in enumerate(message.nested_type):
        yield from _fields_of(nested, f"{name}.{nested.name}", (*path, NESTED_MESSAGE, place), comments)


def _comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location}
