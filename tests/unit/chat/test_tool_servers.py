"""What is taken of the tools of foreign servers: names and schemas that every provider takes, within bounds, and the operator's word."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from parley_chat.domain.tool_servers import (
    MOST_TOOLS,
    ForeignTool,
    ToolServer,
    name_for_models,
    take,
    usable_schema,
)

OBJECT: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}


def tool(name: str, description: str = "d", *, schema: Any = OBJECT, reads: bool = False) -> ForeignTool:
    return ForeignTool(name, description, schema, reads)


@pytest.mark.parametrize(
    "name", ["add", "ünïcode/with spaces", "x" * 120, "", "a.b", "\ud800", "add__", "a" * 57, "a" * 56]
)
def test_a_name_is_one_that_all_providers_take_and_always_the_same(name: str) -> None:
    made = name_for_models("files", name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)
    assert made.startswith("files__")
    assert made == name_for_models("files", name)


def test_different_tools_have_different_names() -> None:
    names = ["a.b", "a/b", "a b", "a_b", "x" * 120, "x" * 119 + "y", "x" * 56, "x" * 57]
    assert len({name_for_models("s", name) for name in names}) == len(names)
    assert name_for_models("s", "a_b") == "s__a_b"


def test_of_a_schema_only_what_everybody_understands_is_left() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "title": "Arguments",
        "properties": {
            "kind": {"enum": ["a", "b"], "type": ["string", "null"], "default": "a"},
            "count": {"type": "integer", "minimum": 1, "maximum": "many", "multipleOf": 0},
            "text": {"type": "string", "pattern": "(", "format": "uri", "minLength": -1, "maxLength": 10},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "minItems": 1},
            "remote": {"$ref": "https://example.com/schema.json"},
            "gone": {"$ref": "#/$defs/Gone"},
            "odd": {"type": "thing", "enum": [], "required": "yes"},
            "anything": True,
            "either": {"anyOf": [{"type": "string"}, {"type": "number", "minimum": float("inf")}]},
        },
        "patternProperties": {"(": {}},
        "required": ["kind", "kind"],
        "additionalProperties": False,
        "$defs": {"Tag": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/Tag"}}}},
    }
    assert usable_schema(schema) == {
        "type": "object",
        "title": "Arguments",
        "properties": {
            "kind": {"enum": ["a", "b"], "type": ["string", "null"], "default": "a"},
            "count": {"type": "integer", "minimum": 1},
            "text": {"type": "string", "format": "uri", "maxLength": 10},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "minItems": 1},
            "remote": {},
            "gone": {},
            "odd": {},
            "anything": {},
            "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        },
        "required": ["kind"],
        "additionalProperties": False,
        "$defs": {"Tag": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/Tag"}}}},
    }


def test_a_schema_without_anything_is_that_of_an_object() -> None:
    assert usable_schema({}) == {"type": "object", "properties": {}}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"deeper": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        nested(13),
        {"type": "object", "$defs": {"Deep": nested(13)}},
        {"type": "object", "properties": {f"p{number}": {"description": "x" * 500} for number in range(100)}},
        {"type": "object", "properties": {"\ud800": {}}},
    ],
)
def test_what_is_too_large_too_deep_or_no_object_is_not_usable(schema: dict[str, Any]) -> None:
    assert usable_schema(schema) is None
    taken = take(ToolServer("s"), [tool("bad", schema=schema), tool("good")])
    assert [each.name for each in taken.tools] == ["s__good"]
    assert len(taken.left_out) == 1


def test_more_tools_than_are_taken_are_left_out_and_told() -> None:
    taken = take(ToolServer("s"), [tool(f"t{number}") for number in range(1000)])
    assert [each.tool.name for each in taken.tools] == [f"t{number}" for number in range(MOST_TOOLS)]
    assert len(taken.left_out) == 1000 - MOST_TOOLS


def test_together_the_tools_of_a_server_leave_room_for_the_conversation() -> None:
    long = {"type": "object", "properties": {f"p{number}": {"description": "x" * 900} for number in range(20)}}
    taken = take(ToolServer("s"), [tool(f"t{number}", "w" * 10_000, schema=long) for number in range(20)])
    assert 0 < len(taken.tools) < 20
    assert sum(len(each.description) + len(json.dumps(each.schema)) for each in taken.tools) <= 100_000


def test_only_the_tools_that_the_operator_lists_are_taken() -> None:
    taken = take(ToolServer("s", tools=frozenset({"b"})), [tool("a"), tool("b"), tool("b")])
    assert [each.name for each in taken.tools] == ["s__b"]
    assert taken.left_out == ("'b': it is listed twice",)


@pytest.mark.parametrize(
    ("server", "reads", "asks"),
    [
        (ToolServer("s"), False, True),
        (ToolServer("s"), True, True),
        (ToolServer("s", trusts_hints=True), True, False),
        (ToolServer("s", trusts_hints=True), False, True),
        (ToolServer("s", asks=False), False, False),
        (ToolServer("s", asks=True, trusts_hints=True), True, True),
        (ToolServer("s", asks=False, asks_for={"t": True}), False, True),
        (ToolServer("s", asks_for={"t": False}), False, False),
        (ToolServer("s", asks_for={"other": False}), False, True),
    ],
)
def test_whether_the_user_is_asked_is_the_operators_word(server: ToolServer, reads: bool, asks: bool) -> None:
    assert server.asks_before(tool("t", reads=reads)) is asks
    assert server.only_reads(tool("t", reads=reads)) is (reads and server.trusts_hints)
