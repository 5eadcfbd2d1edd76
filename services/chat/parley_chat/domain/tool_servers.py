"""Servers of tools (MCP) that the operator names, and what of their tools is taken. Not how one speaks to them.

What such a server says is foreign: names, words and schemas are brought into the form that every model and provider takes, and what is too
large or too much is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MOST_TOOLS = 64
"""Of one server. A request to a model may hold 128, Parley's own among them."""
MOST_TOOLS_OF_ALL = 80
MOST_CHARACTERS_OF_ALL = 100_000
"""What a model has to read of the tools of one server before it reads the user's question."""

_MOST_NAME = 64
_MOST_DESCRIPTION = 2_000
_MOST_SCHEMA = 20_000
"""Characters of JSON."""
_MOST_DEPTH = 12
_MOST_LIST = 200
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_REFERENCE = re.compile(r"#/(\$defs|definitions)/([^/~%]+)")
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_TEXTS = frozenset({"title", "description", "format"})
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


class ToolServerState(StrEnum):
    """How a server is."""

    CONNECTING = "connecting"
    """For the first time."""
    CONNECTED = "connected"
    UNREACHABLE = "unreachable"
    """It does not answer as it should, and is tried again."""


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server as the operator describes it. It has a command or a URL."""

    name: str
    command: tuple[str, ...] = ()
    """The program and its arguments. Parley starts it and speaks with it over its input and output."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # It may hold secrets.
    """The program's variables, beside PATH and HOME."""
    folder: str = ""
    """Where the program is started; Parley's own folder when empty."""
    url: str = ""
    """Where it listens (streamable HTTP)."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # They may hold secrets.
    """What is sent with each request."""
    tools: frozenset[str] | None = None
    """Which of its tools are offered; None for all."""
    asks: bool | None = None
    """Whether its calls wait for the user; None for all but those that are trusted to change nothing."""
    asks_for: Mapping[str, bool] = field(default_factory=dict)
    """The same by tool, which counts more."""
    trusts_hints: bool = False
    """Whether a tool changes nothing because the server says so."""
    scope: str = "chat:write"
    """What a token needs for its tools."""
    timeout_seconds: float = 30.0
    max_result_bytes: int = 100_000

    def only_reads(self, tool: ForeignTool) -> bool:
        """Whether a tool is trusted to change nothing."""
        return self.trusts_hints and tool.says_it_only_reads

    def asks_before(self, tool: ForeignTool) -> bool:
        """Whether calls of a tool wait for the user."""
        if tool.name in self.asks_for:
            return self.asks_for[tool.name]
        return not self.only_reads(tool) if self.asks is None else self.asks


@dataclass(frozen=True, slots=True)
class ForeignTool:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    says_it_only_reads: bool = False


@dataclass(frozen=True, slots=True)
class TakenTool:
    """A tool as models are told of it."""

    tool: ForeignTool
    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What is taken of the tools of a server."""

    tools: tuple[TakenTool, ...]
    left_out: tuple[str, ...]
    """Why each of the others is not: one line each, for the operator."""


def take(server: ToolServer, listed: Sequence[ForeignTool]) -> Taken:
    """Takes what may be offered of the tools that a server lists, in its order."""
    taken: dict[str, TakenTool] = {}
    left_out: list[str] = []
    room = MOST_CHARACTERS_OF_ALL
    for tool in listed:
        shown = repr(tool.name[:_MOST_NAME])
        if server.tools is not None and tool.name not in server.tools:
            continue
        name = name_for_models(server.name, tool.name)
        if len(taken) == MOST_TOOLS:
            left_out.append(f"{shown}: at most {MOST_TOOLS} are taken")
        elif name in taken:
            left_out.append(f"{shown}: it is listed twice")
        elif (schema := usable_schema(tool.schema)) is None:
            left_out.append(f"{shown}: the schema of its arguments is no object's, or larger than is taken")
        else:
            description = _cut(tool.description, _MOST_DESCRIPTION)
            room -= len(description) + len(json.dumps(schema))
            if room < 0:
                left_out.append(f"{shown}: together the tools have more than {MOST_CHARACTERS_OF_ALL:,} characters")
                continue
            taken[name] = TakenTool(tool, name, description, schema)
    return Taken(tuple(taken.values()), tuple(left_out))


def name_for_models(server: str, tool: str) -> str:
    """The server's name, two underscores and the tool's, in the characters that all providers take. It is the same every time, and another
    for every other tool: where anything had to be changed, a part of a hash says what it was.
    """
    plain = f"{server}__{tool}"
    name = _NOT_IN_A_NAME.sub("_", plain)
    if name == plain and len(name) <= _MOST_NAME:
        return name
    mark = hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name[: _MOST_NAME - 9]}_{mark}"


def usable_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema with those keywords only that every provider understands, each of the type that it must have; None when it is none of an
    object, or too large. What a model fills in is checked by the server.
    """
    if schema.get("type", "object") != "object" or not _is_small(schema):
        return None
    definitions = {
        key: value for key in ("$defs", "definitions") if isinstance(value := schema.get(key), Mapping) and value
    }
    usable = _usable(schema, {(key, name) for key, value in definitions.items() for name in value}, 0)
    if usable is None:
        return None
    usable["type"] = "object"
    usable.setdefault("properties", {})
    for key, value in definitions.items():
        names = {(each, name) for each, inner in definitions.items() for name in inner}
        made = {str(name): _usable(inner, names, 1) for name, inner in value.items()}
        if None in made.values():
            return None
        usable[key] = made
    try:
        text = json.dumps(usable, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        return None
    return usable if len(text) <= _MOST_SCHEMA else None


def _is_small(schema: Mapping[str, Any]) -> bool:
    """Whether it can be short when it is written: a look that is over soon, whatever there is."""
    waiting: list[Any] = [schema]
    seen = 0
    while waiting:
        one = waiting.pop()
        inner = list(one.values()) if isinstance(one, Mapping) else one if isinstance(one, list) else ()
        seen += 1 + len(inner)
        if seen > _MOST_SCHEMA:
            return False
        waiting += inner
    return True


def _usable(schema: object, definitions: set[tuple[str, str]], depth: int) -> dict[str, Any] | None:
    """None when it is nested too deeply."""
    if depth > _MOST_DEPTH:
        return None
    if not isinstance(schema, Mapping):
        # `true` is a schema too: anything goes.
        return {}
    usable: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            usable[key] = {str(name): _usable(inner, definitions, depth + 1) for name, inner in value.items()}
            if None in usable[key].values():
                return None
        elif key == "items" or (key == "additionalProperties" and not isinstance(value, bool)):
            usable[key] = _usable(value, definitions, depth + 1)
            if usable[key] is None:
                return None
        elif key in {"anyOf", "oneOf", "allOf"} and isinstance(value, list) and 0 < len(value) <= _MOST_LIST:
            usable[key] = [_usable(inner, definitions, depth + 1) for inner in value]
            if None in usable[key]:
                return None
        elif (kept := _kept(key, value, definitions)) is not None:
            usable[key] = kept
    return usable


def _kept(key: str, value: Any, definitions: set[tuple[str, str]]) -> Any:
    """The value of a keyword that holds no schema; None for what is left out."""
    match key:
        case "type" if isinstance(value, str):
            return value if value in _TYPES else None
        case "type" if isinstance(value, list) and value:
            return list(dict.fromkeys(value)) if all(isinstance(one, str) and one in _TYPES for one in value) else None
        case "required" if isinstance(value, list) and len(value) <= _MOST_LIST:
            return list(dict.fromkeys(value)) if all(isinstance(one, str) for one in value) else None
        case "enum" if isinstance(value, list) and 0 < len(value) <= _MOST_LIST:
            return value if all(_is_plain(one) for one in value) and len(set(map(repr, value))) == len(value) else None
        case "const" | "default" if value is not None and _is_plain(value):
            return value
        case "additionalProperties" if isinstance(value, bool):
            return value
        case "$ref" if isinstance(value, str):
            found = _REFERENCE.fullmatch(value)
            return value if found and (found[1], found[2]) in definitions else None
    if key in _TEXTS and isinstance(value, str):
        return _cut(value, _MOST_DESCRIPTION)
    if key in _COUNTS and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
        return value
    if key in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool) and _is_plain(value):
        return value
    return None


def _is_plain(value: object) -> bool:
    """Whether it is a text, a number, true, false or null that JSON can hold."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 2**53
    return value is None or isinstance(value, str)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
