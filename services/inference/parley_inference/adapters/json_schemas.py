"""What the providers that take JSON Schemas say about them: in which form a schema fits, and what a refusal means. Checks no document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NOT_STRICT = frozenset(
    [
        "allOf",
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "maxContains",
        "maxProperties",
        "minContains",
        "minProperties",
        "not",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    ]
)
_OF_THIS_SCHEMA = re.compile(r"invalid.{0,20}schema|format\.schema|in context=|too complex", re.IGNORECASE)
_OF_ANY_SCHEMA = re.compile(r"response_format|json_schema|output_config|output_format|structured output", re.IGNORECASE)
_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
"""Keywords whose values are schemas by names that are no keywords."""
_DATA = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose values are no schemas."""


def in_words(schema: Mapping[str, Any]) -> str:
    """What a model is told that has no other way to learn of the schema of its answer."""
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return (
        "Answer with one JSON document that satisfies the JSON Schema below, and with nothing else: no words before or after it, no fence "
        f"around it.\n{text}"
    )


def is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether every object in it names all the properties that it may have, which is what providers that keep to a schema insist on."""
    return all(one.get("additionalProperties") is False for one in _schemas_in(schema) if _is_object(one))


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether it is of the part of JSON Schema to which OpenAI's models keep strictly: an object, closed, all of whose properties are
    required, and none of the keywords that it does not know.
    """
    return (
        schema.get("type") == "object"
        and is_closed(schema)
        and not any(_NOT_STRICT & one.keys() for one in _schemas_in(schema))
        and all(
            set(one.get("required", ())) == set(one.get("properties", ()))
            for one in _schemas_in(schema)
            if _is_object(one)
        )
    )


def refuses_schema(refusal: str) -> bool:
    """Whether the words of a provider's refusal are about the schema of the answer, so that saying it in words makes sense."""
    return bool(_OF_THIS_SCHEMA.search(refusal) or _OF_ANY_SCHEMA.search(refusal))


def refuses_every_schema(refusal: str) -> bool:
    """Whether they are about any schema, and not only about this one."""
    return refuses_schema(refusal) and not _OF_THIS_SCHEMA.search(refusal)


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or "properties" in schema or (isinstance(kind, list) and "object" in kind)


def _schemas_in(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema, and all within it."""
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        if not isinstance(one, Mapping):
            continue
        yield one
        for keyword, value in one.items():
            if keyword in _MAPS and isinstance(value, Mapping):
                waiting += value.values()
            elif keyword not in _DATA:
                waiting.append(value)
