"""Fills a JSON Schema with what a request says in plain words. It understands nothing, and makes nothing up.

What is taken: JSON that stands in the request, `name=value` and `name: value`, values of an enum that stand in the text, numbers and dates
and addresses as the schema wants them, texts in quotation marks, items of a list, and what the schema itself says (`const`, `default`, or
null where it may be). What is required and not said cannot be filled: then nothing is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_MOST_CHARACTERS = 20_000
"""Of the request that is looked at."""
_MOST_DEPTH = 20
_QUOTED = re.compile(r"[\"“]([^\"”\n]+)[\"”]")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+(\S.*?)\s*$", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-]|\.\d)")
_FORMATS = {
    "date": re.compile(r"\b\d{4}-\d{2}-\d{2}\b"),
    "date-time": re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})"),
    "time": re.compile(r"\b\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})"),
    "email": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    "uri": re.compile(r"\bhttps?://[^\s<>\"')]+"),
    "uuid": re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
}


class UnsaidError(Exception):
    """Something that the schema requires is not said."""


def filled(schema: Mapping[str, Any], text: str) -> str:
    """A JSON document with what the text says. Raises UnsaidError. Whether it satisfies the schema in all, it does not know."""
    filling = _Filling(schema, text[:_MOST_CHARACTERS])
    found = filling.whole()
    return json.dumps(found, ensure_ascii=False)


class _Filling:
    """One schema while it is filled. Quotations and numbers are used once, in their order."""

    def __init__(self, schema: Mapping[str, Any], text: str) -> None:
        self._root = schema
        self._text = text
        self._quotations = _QUOTED.findall(text)
        self._numbers = _NUMBER.findall(text)

    def whole(self) -> Any:
        found = _json_in(self._text)
        return self._value("", self._root, 0) if found is None else found

    def _value(self, name: str, schema: Any, depth: int) -> Any:
        """The value of a part of the schema. Raises UnsaidError."""
        schema = self._resolved(schema)
        if depth > _MOST_DEPTH:
            raise UnsaidError(name)
        if "const" in schema:
            return schema["const"]
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        try:
            return self._said(name, schema, kinds, depth)
        except UnsaidError:
            if "default" in schema:
                return schema["default"]
            if "null" in kinds:
                return None
            raise

    def _said(self, name: str, schema: Mapping[str, Any], kinds: list[Any], depth: int) -> Any:
        if isinstance(schema.get("enum"), list):
            return self._one_of(name, schema["enum"])
        if "object" in kinds or "properties" in schema:
            return self._object(schema, depth)
        if "array" in kinds:
            return self._array(name, schema)
        if "integer" in kinds or "number" in kinds:
            return self._number(name, is_whole="number" not in kinds)
        if "boolean" in kinds:
            return _boolean(self._pair(name))
        if "string" in kinds or kinds == [None]:
            return self._string(name, schema)
        raise UnsaidError(name)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        found: dict[str, Any] = {}
        for name, one in properties.items():
            try:
                # What need not be there is taken only when it is called by its name, or cannot be anything else.
                if name in required or self._is_told(name, one):
                    found[name] = self._value(name, one, depth + 1)
            except UnsaidError:
                if name in required:
                    raise
        if any(name not in found for name in required):
            raise UnsaidError(next(name for name in required if name not in found))
        return found

    def _is_told(self, name: str, schema: Any) -> bool:
        schema = self._resolved(schema)
        return (
            bool(_pair(name, self._text)) or schema.get("format") in _FORMATS or "enum" in schema or "const" in schema
        )

    def _array(self, name: str, schema: Mapping[str, Any]) -> list[Any]:
        items = self._resolved(schema.get("items", {}))
        if isinstance(items.get("enum"), list):
            found: list[Any] = [one for one in items["enum"] if isinstance(one, str) and self._stands(one)]
        elif items.get("type") in {"number", "integer"}:
            found = [json.loads(one) for one in self._numbers]
            self._numbers = []
        elif items.get("type", "string") == "string":
            if pattern := _FORMATS.get(items.get("format", "")):
                found = pattern.findall(self._text)
            else:
                found = _ITEM.findall(self._text) or [
                    one.strip() for one in _pair(name, self._text, whole_line=True).split(",") if one.strip()
                ]
        else:
            found = []
        if not found:
            raise UnsaidError(name)
        return found

    def _one_of(self, name: str, values: list[Any]) -> Any:
        told = _pair(name, self._text)
        standing = [one for one in values if isinstance(one, str) and self._stands(one)]
        for one in values:
            if told and str(one).casefold() == told.casefold():
                return one
        # Two that stand there are a choice that nobody made.
        if len(standing) != 1:
            raise UnsaidError(name)
        return standing[0]

    def _number(self, name: str, *, is_whole: bool) -> int | float:
        told = _pair(name, self._text)
        for one in [told] if told else list(self._numbers):
            if _NUMBER.fullmatch(one) and not (is_whole and "." in one):
                if one in self._numbers:
                    self._numbers.remove(one)
                return int(one) if "." not in one else float(one)
        raise UnsaidError(name)

    def _string(self, name: str, schema: Mapping[str, Any]) -> str:
        if pattern := _FORMATS.get(schema.get("format", "")):
            if found := pattern.search(self._text):
                return found[0]
        elif told := _pair(name, self._text):
            return told
        elif self._quotations:
            return str(self._quotations.pop(0))
        raise UnsaidError(name)

    def _pair(self, name: str) -> str:
        return _pair(name, self._text)

    def _stands(self, word: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", self._text, re.IGNORECASE) is not None

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """The schema, or what it refers to within the whole."""
        for _ in range(_MOST_DEPTH):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._root
            for step in reference.removeprefix("#").split("/")[1:]:
                schema = schema.get(step) if isinstance(schema, Mapping) else None
        return {}


def _pair(name: str, text: str, *, whole_line: bool = False) -> str:
    """What is said as `name=value` or `name: value`; empty when it is not said."""
    if not name:
        return ""
    said = re.escape(name).replace("_", "[_ -]")
    value = (
        r"(?P<line>[^\n]+)" if whole_line else r"(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s,;]+))"
    )
    found = re.search(rf"(?<!\w){said}\s*[=:]\s*{value}", text, re.IGNORECASE)
    return next((one for one in found.groups() if one), "").strip() if found else ""


def _boolean(told: str) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if told.casefold() not in words:
        raise UnsaidError(told)
    return words[told.casefold()]


def _json_in(text: str) -> Any:
    """The JSON object that a request writes out itself; None when there is none."""
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        return None
    try:
        found = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
