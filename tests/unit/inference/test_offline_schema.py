"""The built-in model fills a schema with what is plainly said, and makes nothing up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from parley_inference.adapters.offline_schema import UnsaidError, filled

TEXT = {"type": "string"}


def thing(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "said", "found"),
    [
        (thing({"title": TEXT}), 'Add "Water the plants"', {"title": "Water the plants"}),
        (thing({"title": TEXT}), "title=Water", {"title": "Water"}),
        (thing({"first_name": TEXT}), "First name: Ada", {"first_name": "Ada"}),
        (thing({"a": TEXT, "b": TEXT}), 'Say "one" and "two"', {"a": "one", "b": "two"}),
        (thing({"due": {**TEXT, "format": "date"}}), "by 2026-03-01, please", {"due": "2026-03-01"}),
        (thing({"to": {**TEXT, "format": "email"}}), "Write to ada@example.org.", {"to": "ada@example.org"}),
        (thing({"n": {"type": "integer"}}), "Give me 12 of them", {"n": 12}),
        (thing({"n": {"type": "number"}, "m": {"type": "number"}}), "from 1.5 to -3", {"n": 1.5, "m": -3}),
        (thing({"done": {"type": "boolean"}}), "done: yes", {"done": True}),
        (thing({"p": {"enum": ["low", "high"]}}), "It has high priority", {"p": "high"}),
        (thing({"p": {"enum": ["low", "high"], "default": "low"}}), "Hm", {"p": "low"}),
        (thing({"p": {"const": 7}}), "Hm", {"p": 7}),
        (thing({"p": {"type": ["string", "null"]}}), "Hm", {"p": None}),
        (thing({"items": {"type": "array", "items": TEXT}}), "Buy:\n- milk\n- bread", {"items": ["milk", "bread"]}),
        (thing({"tags": {"type": "array", "items": TEXT}}), "tags: a, b", {"tags": ["a", "b"]}),
        (thing({"n": {"type": "array", "items": {"type": "integer"}}}), "1, 2 and 3", {"n": [1, 2, 3]}),
        (thing({"who": thing({"name": TEXT})}), "name=Ada", {"who": {"name": "Ada"}}),
        (thing({"a": TEXT, "b": TEXT}, "b"), "a=1", {"a": "1"}),
        ({"$ref": "#/$defs/t", "$defs": {"t": thing({"a": TEXT})}}, "a=1", {"a": "1"}),
        (thing({"a": TEXT}), 'Use {"a": "b"} as it is', {"a": "b"}),
    ],
)
def test_what_is_said_is_taken(schema: dict[str, Any], said: str, found: dict[str, Any]) -> None:
    assert json.loads(filled(schema, said)) == found


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (thing({"title": TEXT}), "Add a task"),
        (thing({"due": {**TEXT, "format": "date"}}), "by Friday"),
        (thing({"n": {"type": "integer"}}), "some, or 1.5"),
        (thing({"done": {"type": "boolean"}}), "It is done"),
        # A choice between two that stand there is nobody's.
        (thing({"p": {"enum": ["low", "high"]}}), "low or high?"),
        (thing({"p": {"enum": ["low", "high"]}}), "What is slow is highest"),
        (thing({"list": {"type": "array", "items": thing({})}}), "- a"),
        ({"type": "object", "required": ["x"]}, "x=1"),
        ({"$ref": "#", "type": "object"}, "a=1"),
    ],
)
def test_what_is_not_said_is_not_made_up(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsaidError):
        filled(schema, said)
