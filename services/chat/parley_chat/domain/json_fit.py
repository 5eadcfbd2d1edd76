"""Whether arguments fit the JSON Schema of a tool: types, names, choices and bounds. Not the whole of JSON Schema: what it says beyond
that is checked by whoever runs the tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

MOST_MISFITS = 10
"""How many are told at once."""
_DEPTH = 20


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "number": _is_number,
    "null": lambda value: value is None,
}


def misfits_of(schema: Mapping[str, Any], arguments_json: str) -> list[tuple[str, str]]:
    """What does not fit: the path within the arguments, empty for the whole, and what it must be. Empty when all fits."""
    try:
        arguments = json.loads(arguments_json or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return [("", "must be JSON")]
    if not isinstance(arguments, dict):
        return [("", "must be a JSON object")]
    found: list[tuple[str, str]] = []
    for misfit in _misfits(schema, arguments, "", _DEPTH):
        found.append(misfit)
        if len(found) == MOST_MISFITS:
            break
    return found


def _misfits(schema: Mapping[str, Any], value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth == 0:
        yield path, "must not be nested so deeply"
        return
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(kinds, list) and not any(_TYPES[kind](value) for kind in kinds if kind in _TYPES):
        yield path, f"must be of the type {' or '.join(map(str, kinds))}"
        return
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        yield path, f"must be one of {', '.join(json.dumps(each, ensure_ascii=False) for each in choices[:20])}"
    if isinstance(value, dict):
        yield from _of_object(schema, value, path, depth)
    elif isinstance(value, list):
        yield from _sizes(schema, len(value), path, "minItems", "maxItems", "entries")
        items = schema.get("items")
        if isinstance(items, Mapping):
            for place, each in enumerate(value):
                yield from _misfits(items, each, f"{path}[{place}]", depth - 1)
    elif isinstance(value, str):
        yield from _sizes(schema, len(value), path, "minLength", "maxLength", "characters")
        if schema.get("format") == "date-time" and not _is_time(value):
            yield path, "must be a time like 2026-01-31T09:00:00+01:00"
    elif _is_number(value):
        least, most = _bound(schema, "minimum"), _bound(schema, "maximum")
        if least is not None and value < least:
            yield path, f"must be at least {least}"
        if most is not None and value > most:
            yield path, f"must be at most {most}"


def _of_object(schema: Mapping[str, Any], value: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    for name in schema.get("required", ()):
        if name not in value:
            yield _within(path, name), "is required"
    for name, each in value.items():
        known = properties.get(name)
        if isinstance(known, Mapping):
            yield from _misfits(known, each, _within(path, name), depth - 1)
        elif known is None and schema.get("additionalProperties") is False:
            yield _within(path, name), "is no argument of this tool"


def _sizes(
    schema: Mapping[str, Any], size: int, path: str, least_name: str, most_name: str, of_what: str
) -> Iterator[tuple[str, str]]:
    least, most = _bound(schema, least_name), _bound(schema, most_name)
    if least is not None and size < least:
        yield path, f"must have at least {least} {of_what}; it has {size}"
    if most is not None and size > most:
        yield path, f"must have at most {most} {of_what}; it has {size}"


def _within(path: str, name: str) -> str:
    # A name is whatever somebody wrote: what is shown of it is short and on one line.
    shown = re.sub(r"[^\w.$-]", "?", name[:64])
    return f"{path}.{shown}" if path else shown


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    bound = schema.get(name)
    return bound if _is_number(bound) else None


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
