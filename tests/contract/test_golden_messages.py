"""The golden messages: what was once written, as bytes and as JSON, is read and written again exactly so.

They are in gen/golden; `make gen` adds to them and never changes one. A failure here is a field that was renumbered, renamed or given
another type: clients that are out there would misread it. Only what was never released may be mended by deleting its golden message.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import parley
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import Message
from parley_testing.tools import ROOT

GOLDEN = ROOT / "gen" / "golden"
CONTENTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.json"))
}
ENTRIES = [
    (name, number, entry)
    for content in CONTENTS.values()
    for name, entries in content["messages"].items()
    for number, entry in enumerate(entries)
]


def files_of_the_code() -> list[FileDescriptor]:
    """The descriptors that the generated Python code has: what the services run with."""
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(parley.__path__, "parley.")
        if each.name.endswith("_pb2")
    ]
    return [module.DESCRIPTOR for module in modules]


FILES = files_of_the_code()


def message_class(name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


def messages_in(descriptors: Any) -> list[Descriptor]:
    found = []
    for descriptor in descriptors:
        if not descriptor.GetOptions().map_entry:
            found += [descriptor, *messages_in(descriptor.nested_types)]
    return found


@pytest.mark.parametrize(
    ("name", "number", "entry"), ENTRIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_golden_message_is_read_and_written_as_ever(name: str, number: int, entry: dict[str, Any]) -> None:
    encoded = bytes.fromhex(entry["binary"])
    read = message_class(name).FromString(encoded)
    assert json_format.MessageToDict(read, preserving_proto_field_name=True) == entry["json"]
    assert read.SerializeToString(deterministic=True) == encoded
    written = json_format.ParseDict(entry["json"], message_class(name)())
    assert written.SerializeToString(deterministic=True) == encoded
    # The other spelling of JSON's names, which clients may use as well.
    camel = json_format.MessageToDict(read)
    assert json_format.ParseDict(camel, message_class(name)()).SerializeToString(deterministic=True) == encoded


def test_every_message_and_every_field_is_in_a_golden_message() -> None:
    held = {
        name: {field for entry in entries for field in entry["json"]}
        for content in CONTENTS.values()
        for name, entries in content["messages"].items()
    }
    messages = messages_in(message for file in FILES for message in file.message_types_by_name.values())
    missing = [
        f"{descriptor.full_name}.{field.name}"
        for descriptor in messages
        for field in descriptor.fields
        if field.name not in held.get(descriptor.full_name, ())
    ]
    missing += [descriptor.full_name for descriptor in messages if descriptor.full_name not in held]
    assert missing == [], "`make gen` adds them"


@pytest.mark.parametrize(
    ("name", "numbers"), [each for content in CONTENTS.values() for each in content["enums"].items()], ids=str
)
def test_the_values_of_an_enum_keep_their_names_and_numbers(name: str, numbers: dict[str, int]) -> None:
    enum = descriptor_pool.Default().FindEnumTypeByName(name)
    assert {value.name: value.number for value in enum.values} == numbers


def test_a_golden_message_that_is_there_is_never_changed(tmp_path: Path) -> None:
    # What makes them runs over a copy in which one is another.
    content = json.loads((GOLDEN / "parley.usage.v1.json").read_text(encoding="utf-8"))
    entries = content["messages"]["parley.usage.v1.CreateBudgetRequest"]
    entries[0]["json"].pop("name")
    entries[0]["binary"] = "00"
    (tmp_path / "parley.usage.v1.json").write_text(json.dumps(content), encoding="utf-8")
    contract = str(files("parley") / "contract.binpb")
    subprocess.run([sys.executable, ROOT / "gen" / "golden.py", contract, tmp_path], check=True)
    after = json.loads((tmp_path / "parley.usage.v1.json").read_text(encoding="utf-8"))
    first, added = after["messages"]["parley.usage.v1.CreateBudgetRequest"]
    assert first == entries[0]
    assert list(added["json"]) == ["name"]
