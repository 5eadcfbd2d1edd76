"""JSON Schemas of tools, made of the contract's requests, and requests made of what a model wrote for them.

What a model is told of a tool are the contract's own comments. The bounds are checked where those of the rpc are.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

TIMESTAMP = "google.protobuf.Timestamp"
_HIDDEN = {"google.protobuf.FieldMask"}
"""A model changes the fields that it fills in."""


class ArgumentsError(Exception):
    """The arguments are no such request. `words` says why, to the model."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@cache
def comments() -> dict[str, str]:
    """What the contract says of rpcs and fields, by full name."""
    found: dict[str, str] = json.loads((resources.files("parley") / "tool_comments.json").read_text())
    return found


def schema_of(request: type[Message]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a request, an object."""
    fields = [field for field in request.DESCRIPTOR.fields if not _is_hidden(field)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _described(field) for field in fields},
        "additionalProperties": False,
    }
    if required := [field.name for field in fields if "Required" in re.findall(r"\w+", _comment(field))]:
        schema["required"] = required
    return schema


def read_arguments(arguments_json: str) -> dict[str, Any]:
    """Reads what a model wrote. Raises ArgumentsError when it is no JSON object."""
    try:
        arguments = json.loads(arguments_json or "{}")
    except (ValueError, RecursionError) as error:
        raise ArgumentsError("The arguments are not JSON.") from error
    if not isinstance(arguments, dict):
        raise ArgumentsError("The arguments are not a JSON object.")
    return arguments


def fill(request: M, arguments_json: str, time_zone: str) -> M:
    """Fills a request with what a model wrote. A time without an offset is the user's, and so is the zone of a due time.

    Raises ArgumentsError.
    """
    arguments = read_arguments(arguments_json)
    for field in request.DESCRIPTOR.fields:
        if field.message_type and field.message_type.full_name == TIMESTAMP and field.name in arguments:
            arguments[field.name] = _with_offset(field.name, arguments[field.name], time_zone)
    fields = request.DESCRIPTOR.fields_by_name
    is_of_a_time = "due_time" in arguments or ("start_time" in fields and "event_id" not in fields)
    if is_of_a_time and "time_zone" in fields:
        arguments.setdefault("time_zone", time_zone)
    try:
        json_format.ParseDict(arguments, request, max_recursion_depth=10)
    except json_format.ParseError as error:
        raise ArgumentsError(f"The arguments do not fit: {str(error)[:300]}") from error
    _name_emptied(request, arguments)
    return request


def _name_emptied(request: Message, arguments: dict[str, Any]) -> None:
    """Lets the mask of a request name the lists that a model empties, which a request without a mask cannot say."""
    fields = request.DESCRIPTOR.fields
    masks = [field.name for field in fields if _is_hidden(field)]
    emptied = [field.name for field in fields if field.is_repeated and arguments.get(field.name) == []]
    if masks and emptied:
        # What names the thing is not changed.
        filled = [field.name for field, _ in request.ListFields() if not field.name.endswith("_id")]
        getattr(request, masks[0]).paths.extend([*filled, *emptied])


# Descriptors are of two classes, one of which has no public name: hence Any.
def _described(field: Any) -> dict[str, Any]:
    kind = _kind(field)
    schema = {"type": "array", "items": kind} if field.is_repeated else kind
    return {**schema, "description": _comment(field)}


def _kind(field: Any) -> dict[str, Any]:
    if field.enum_type is not None:
        return {"type": "string", "enum": _names(field.enum_type)}
    if field.message_type is not None:
        if field.message_type.full_name != TIMESTAMP:
            raise TypeError(f"{field.full_name} is of a kind that no tool has: {field.message_type.full_name}")
        return {"type": "string", "format": "date-time"}
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return {"type": "string"}
        case FieldDescriptor.CPPTYPE_BOOL:
            return {"type": "boolean"}
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_INT64:
            return {"type": "integer"}
        case _:
            return {"type": "number"}


def _names(enum: Any) -> list[str]:
    return [value.name for value in enum.values if value.number]


def _is_hidden(field: Any) -> bool:
    return field.message_type is not None and field.message_type.full_name in _HIDDEN


def _comment(field: Any) -> str:
    return comments()[field.full_name]


def _with_offset(name: str, written: object, time_zone: str) -> str:
    try:
        time = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        time = None
    if time is None:
        raise ArgumentsError(f"{name} must be a time like 2026-01-31T09:00:00+01:00.")
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(time_zone))).isoformat()
