"""Which schemas a provider keeps to, and what its refusals are about."""

from __future__ import annotations

import json
from typing import Any

import pytest
from parley_inference.adapters.json_schemas import (
    in_words,
    is_closed,
    is_strict,
    refuses_every_schema,
    refuses_schema,
)


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


@pytest.mark.parametrize(
    ("schema", "strict", "shut"),
    [
        (closed({"a": {"type": "string"}}), True, True),
        (closed({"a": closed({"b": {"type": ["integer", "null"]}})}), True, True),
        (closed({"a": {"type": "array", "items": closed({})}}), True, True),
        (closed({"a": {"$ref": "#/$defs/x"}}, **{"$defs": {"x": closed({})}}), True, True),
        (closed({"a": {"type": "string", "minLength": 1}}), True, True),
        # A property may be called like a keyword, and data may look like a schema.
        (closed({"not": {"type": "string"}, "type": {"enum": [{"type": "object"}]}}), True, True),
        (closed({"a": {"type": "string"}}, required=[]), False, True),
        (closed({"a": {"not": {"type": "string"}}}), False, True),
        (closed({"a": {"oneOf": [{"type": "string"}]}}), False, True),
        ({"type": "string"}, False, True),
        ({"type": "array", "items": closed({})}, False, True),
        ({"type": "object"}, False, False),
        ({"properties": {"a": {"type": "string"}}}, False, False),
        (closed({"a": {"type": ["object", "null"]}}), False, False),
        (closed({"a": {"anyOf": [closed({}), {"type": "object", "properties": {}}]}}), False, False),
        ({}, False, True),
    ],
)
def test_a_schema_is_strict_when_every_object_names_all_that_it_has(
    schema: dict[str, Any], strict: bool, shut: bool
) -> None:
    assert is_strict(schema) is strict
    assert is_closed(schema) is shut


@pytest.mark.parametrize(
    ("refusal", "about_schema", "about_every"),
    [
        ("Invalid schema for response_format 'answer': In context=(), 'required' is required", True, False),
        ("output_config.format.schema: For 'object' type, 'additionalProperties' must be false", True, False),
        ("response_format: Extra inputs are not permitted", True, True),
        ("'response_format.type' must be one of text, json_object", True, True),
        ("This response_format type json_schema is unavailable now", True, True),
        ("output_config.format: structured outputs are not available for this model", True, True),
        ("Schema is too complex for compilation", True, False),
        ("temperature: range: 0..1", False, False),
        ("Unsupported parameter: 'max_tokens'", False, False),
    ],
)
def test_a_refusal_is_about_this_schema_or_about_any(refusal: str, about_schema: bool, about_every: bool) -> None:
    assert refuses_schema(refusal) is about_schema
    assert refuses_every_schema(refusal) is about_every


def test_the_words_hold_the_schema_whole() -> None:
    schema = closed({"größe": {"type": "number"}})
    assert in_words(schema).endswith("\n" + json.dumps(schema, ensure_ascii=False, separators=(",", ":")))
