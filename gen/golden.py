"""Keeps the golden messages of the contracts: bytes and JSON that every later Parley must read, and write again, exactly so.

It only ever adds: a message, a field or a value of an enum that no golden message holds yet gets one. It never changes or removes
what is there, so a field that is renumbered, renamed or given another type is found by the tests that read them
(tests/contract/test_golden_messages.py). Every message has its own; what is in a field of another is only begun.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

Entry = dict[str, Any]

_WELL_KNOWN: Final[dict[str, Any]] = {
    "google.protobuf.Timestamp": "2026-11-02T09:30:00.250Z",
    "google.protobuf.Duration": "3600.500s",
    "google.protobuf.FieldMask": "title,dueTime",
    "google.protobuf.Struct": {"type": "object", "a": [1, True, None, "Grün"]},
    "google.protobuf.Value": {"text": "Grün"},
    "google.protobuf.ListValue": [1, "two"],
}


def update(contract: descriptor_pb2.FileDescriptorSet, folder: Path) -> None:
    """Adds what is missing to the folder: one file for each package."""
    pool = descriptor_pool.DescriptorPool()
    for file in contract.file:
        pool.Add(file)
    packages = sorted({file.package for file in contract.file if file.package.startswith("parley.")})
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        files = [pool.FindFileByName(file.name) for file in contract.file if file.package == package]
        path = folder / f"{package}.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        messages: dict[str, list[Entry]] = kept.get("messages", {})
        enums: dict[str, dict[str, int]] = kept.get("enums", {})
        for each in files:
            for message in each.message_types_by_name.values():
                _add_messages(message, messages)
                _add_enums_of(message, enums)
            for enum in each.enum_types_by_name.values():
                _add_enum(enum, enums)
        content = {"messages": dict(sorted(messages.items())), "enums": dict(sorted(enums.items()))}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _add_messages(descriptor: Descriptor, messages: dict[str, list[Entry]]) -> None:
    if descriptor.GetOptions().map_entry:
        return
    entries = messages.setdefault(descriptor.full_name, [])
    if not entries and not descriptor.fields:
        entries.append(_entry(message_factory.GetMessageClass(descriptor)()))
    held = {name for entry in entries for name in entry["json"]}
    left = [each for each in descriptor.fields if each.name not in held]
    while left:
        message = message_factory.GetMessageClass(descriptor)()
        # Of what excludes each other one at a time.
        taken: set[str] = set()
        now = []
        for each in left:
            oneof = each.containing_oneof.name if each.containing_oneof is not None else f"={each.name}"
            if oneof not in taken:
                taken.add(oneof)
                now.append(each)
        for each in now:
            _fill(message, each)
        entries.append(_entry(message))
        left = [each for each in left if each not in now]
    for nested in descriptor.nested_types:
        _add_messages(nested, messages)


def _add_enums_of(descriptor: Descriptor, enums: dict[str, dict[str, int]]) -> None:
    for enum in descriptor.enum_types:
        _add_enum(enum, enums)
    for nested in descriptor.nested_types:
        _add_enums_of(nested, enums)


def _add_enum(enum: EnumDescriptor, enums: dict[str, dict[str, int]]) -> None:
    numbers = enums.setdefault(enum.full_name, {})
    for value in enum.values:
        numbers.setdefault(value.name, value.number)


def _entry(message: Message) -> Entry:
    return {
        "binary": message.SerializeToString(deterministic=True).hex(),
        "json": json_format.MessageToDict(message, preserving_proto_field_name=True),
    }


def _fill(message: Message, each: FieldDescriptor) -> None:
    if each.message_type is not None and each.message_type.GetOptions().map_entry:
        value = each.message_type.fields_by_name["value"]
        key = _scalar(each.message_type.fields_by_name["key"])
        if value.message_type is not None:
            getattr(message, each.name)[key].CopyFrom(_begun(value.message_type))
        else:
            getattr(message, each.name)[key] = _scalar(value)
    elif each.is_repeated:
        values = [_begun(each.message_type) if each.message_type is not None else _scalar(each)] * 2
        getattr(message, each.name).extend(values)
    elif each.message_type is not None:
        getattr(message, each.name).CopyFrom(_begun(each.message_type))
    else:
        setattr(message, each.name, _scalar(each))


def _begun(descriptor: Descriptor) -> Message:
    """A message with its first field that is a text, a number or the like; of Google's, an example."""
    message = message_factory.GetMessageClass(descriptor)()
    if descriptor.full_name in _WELL_KNOWN:
        json_format.ParseDict(_WELL_KNOWN[descriptor.full_name], message)
        return message
    for each in descriptor.fields:
        if each.message_type is None and not each.is_repeated:
            setattr(message, each.name, _scalar(each))
            break
    return message


def _scalar(each: FieldDescriptor) -> Any:
    kind = each.cpp_type
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return (
            b"\x00\xff" + bytes([each.number % 256])
            if each.type == FieldDescriptor.TYPE_BYTES
            else f"Grün {each.number}"
        )
    if each.enum_type is not None:
        return each.enum_type.values[-1].number
    if kind in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return each.number + 0.5
    if kind in {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}:
        # More than a number of JavaScript holds.
        return 2**53 + each.number
    return 2**31 - each.number


def main() -> None:
    """Adds to the folder of the second argument what the contract in the first one has and the folder has not."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())
    update(contract, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
