"""JSON for scripts: the contract's messages, with the names of their fields as the contract writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def print_json(message: Message) -> None:
    """Prints one message; every field of it is there, also those with their default."""
    print(json.dumps(as_dict(message), indent=2, ensure_ascii=False))


def print_json_list(messages: Iterable[Message]) -> None:
    """Prints a list of messages."""
    print(json.dumps([as_dict(each) for each in messages], indent=2, ensure_ascii=False))


def as_dict(message: Message) -> dict[str, Any]:
    """The message as JSON has it."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
