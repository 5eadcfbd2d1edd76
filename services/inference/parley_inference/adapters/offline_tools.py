"""Finds the tool that a request plainly asks for, and fills its arguments with the request's own words.

It guesses nothing: a request that does not name its tool calls none, and an argument that is required and not said is named as
missing. When something is due it knows only where the instructions tell what time it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from parley_inference.adapters.offline_dates import moment_in
from parley_inference.adapters.offline_words import terms
from parley_inference.domain.prompt import Tool

_MOST_CHARACTERS = 2000
"""A plain request is short; what is longer is a text about something."""
_POLITE = r"^(?:please\s+|now\s+|can you\s+|could you\s+|would you\s+)*"
_USE = re.compile(
    _POLITE + r"(?:use|call|run|invoke)\s+(?:the\s+)?(?:tool\s+)?[`\"']?(?P<name>[\w-]+)[`\"']?", re.IGNORECASE
)
_REMIND = re.compile(_POLITE + r"remind me\s+(?:to|about|that|of)\s+(?P<what>\S[^\n]*)", re.IGNORECASE)
_ERINNERE = re.compile(
    r"^(?:bitte\s+)?erinner(?:e)?\s+mich\s+(?:bitte\s+)?(?:daran\s*,?\s*)?(?:an\s+)?(?P<what>\S[^\n]*)", re.IGNORECASE
)
_LIST = re.compile(
    _POLITE
    + r"(?:(?:show|list|tell)(?:\s+me)?|what\s+are|what's\s+on|zeig(?:e)?(?:\s+mir)?|welche)\s+"
    + r"(?:all\s+)?(?:of\s+)?(?:my|the|open|meine|offenen?)?\s*(?:open\s+|offenen\s+)?"
    + r"(?:tasks?|to-?dos?|to-?do\s+list|reminders?|aufgaben)\b",
    re.IGNORECASE,
)
_CREATE = re.compile(
    _POLITE
    + r"(?:add|create|make|new)\s+(?:me\s+)?(?:an?\s+)?(?:new\s+)?(?:task|to-?do|reminder)\b"
    + r"(?:\s+(?:to|for|about|called|named|that says))?\s*:?\s+(?P<what>\S[^\n]*)",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\b(?P<name>[A-Za-z_][\w-]{0,63})\s*[=:]\s*"
    r"(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s,;]+))"
)
_QUOTED = re.compile(r"[\"“](?P<text>[^\"”\n]+)[\"”]")
_PREPOSITION = re.compile(r"^(?:with|for|to|on|about)\s+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TASK_WORDS = frozenset(terms("remind reminder task todo"))
_MAKING_WORDS = frozenset(terms("create add new make remind set schedule"))
_TEXT_PROPERTIES = ("title", "text", "task", "name", "content", "description", "what", "message", "query", "summary")


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool that is asked for."""

    tool: Tool
    arguments: Mapping[str, Any]
    missing: Sequence[str]
    """Arguments that the tool requires and the request does not say."""

    @property
    def arguments_json(self) -> str:
        """The arguments as a model writes them."""
        return json.dumps(self.arguments, ensure_ascii=False)


def wished_tool(request: str, tools: Sequence[Tool], now: datetime | None = None) -> Wish | None:
    """The tool that the request plainly asks for; None when it asks for none. `now` is the user's time, None when it is not known."""
    request = request.strip()
    if not tools or len(request) > _MOST_CHARACTERS:
        return None
    if named := _USE.match(request):
        for tool in tools:
            if _same_name(tool.name, named["name"]):
                return _filled(tool, request[named.end() :].strip(" :,."), only_said=True)
        return None
    if _LIST.match(request):
        listing = next((tool for tool in tools if {"list", "task"} <= set(terms(tool.name.replace("_", " ")))), None)
        return Wish(listing, {}, ()) if listing else None
    making = _task_tool(tools)
    reminding = _REMIND.match(request) or _ERINNERE.match(request)
    asked = reminding or _CREATE.match(request)
    if not making or not asked:
        return None
    said = asked["what"].strip().rstrip(".!")
    due = _due_property(making)
    moment = moment_in(said, now) if now and due else None
    if moment is None or due is None:
        return _filled(making, said, only_said=False)
    wish = _filled(making, moment.rest or said, only_said=False)
    arguments = {**wish.arguments, due: moment.time.isoformat()}
    if reminding and (reminders := _reminders_property(making)):
        # Who asks to be reminded at a time is reminded at that time.
        arguments[reminders] = [0]
    return replace(wish, arguments=arguments)


def _due_property(tool: Tool) -> str | None:
    """The argument that says when something is due."""
    properties = tool.parameters_schema.get("properties")
    times = [
        name
        for name, schema in (properties.items() if isinstance(properties, Mapping) else ())
        if isinstance(schema, Mapping) and schema.get("format") == "date-time"
    ]
    return next((name for name in times if "due" in name), times[0] if times else None)


def _reminders_property(tool: Tool) -> str | None:
    """The argument that says how long before it is due to remind, a list of whole numbers."""
    properties = tool.parameters_schema.get("properties")
    for name, schema in properties.items() if isinstance(properties, Mapping) else ():
        items = schema.get("items") if isinstance(schema, Mapping) else None
        if "remind" in name and isinstance(items, Mapping) and items.get("type") == "integer":
            return str(name)
    return None


def _same_name(tool: str, word: str) -> bool:
    return tool.replace("-", "_").casefold() == word.replace("-", "_").casefold()


def _task_tool(tools: Sequence[Tool]) -> Tool | None:
    """The tool that makes a task or reminder: its name has to say both; its description decides between several."""

    def fit(tool: Tool) -> int:
        name = set(terms(tool.name))
        described = set(terms(tool.description.partition(".")[0]))
        if not name & _TASK_WORDS or not (name | described) & _MAKING_WORDS:
            return 0
        return 2 * len(name & (_TASK_WORDS | _MAKING_WORDS)) + len(described & (_TASK_WORDS | _MAKING_WORDS))

    best = max(tools, key=fit)
    return best if fit(best) else None


def _filled(tool: Tool, said: str, *, only_said: bool) -> Wish:
    properties = tool.parameters_schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = tool.parameters_schema.get("required")
    required = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    arguments = _object_in(said) if only_said else None
    if arguments is None:
        arguments = _pairs(said, properties) if only_said else {}
        rest = _without_pairs(said) if arguments else said
        arguments |= _text(rest, properties, required, taken=arguments)
        for name in required:
            if name not in arguments and isinstance(properties.get(name), Mapping):
                arguments |= _from_schema(name, properties[name], rest)
    missing = [name for name in required if name not in arguments]
    return Wish(tool, arguments, missing)


def _object_in(said: str) -> dict[str, Any] | None:
    """The JSON object that a request writes out itself."""
    start, end = said.find("{"), said.rfind("}")
    if not 0 <= start < end:
        return None
    try:
        found = json.loads(said[start : end + 1])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _pairs(said: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """`name=value` and `name: value`, of names that the tool has."""
    found: dict[str, Any] = {}
    for pair in _PAIR.finditer(said):
        schema = properties.get(pair["name"])
        text = next(value for value in (pair["double"], pair["single"], pair["bare"], "") if value is not None)
        if isinstance(schema, Mapping) and (value := _as(schema, text)) is not None:
            found[pair["name"]] = value
    return found


def _without_pairs(said: str) -> str:
    return _PAIR.sub("", said).strip(" ,;")


def _text(
    said: str, properties: Mapping[str, Any], required: Sequence[str], *, taken: Mapping[str, Any]
) -> dict[str, Any]:
    """What is said, as the one property that is there to hold it."""
    quoted = _QUOTED.search(said)
    said = quoted["text"] if quoted else _PREPOSITION.sub("", said)
    free = [
        name
        for name, schema in properties.items()
        if isinstance(schema, Mapping)
        and schema.get("type") == "string"
        and not {"format", "enum", "pattern"} & set(schema)
    ]
    usual = [name for name in _TEXT_PROPERTIES if name in free]
    # A required property before one that is not, a usual name before another; what is not required has to have a usual name.
    order = [name for name in [*usual, *free] if name in required] + usual
    wanted = next((name for name in order if name not in taken), None)
    return {wanted: said} if wanted is not None and said else {}


def _from_schema(name: str, schema: Mapping[str, Any], said: str) -> dict[str, Any]:
    """A required value that the schema itself gives, or that stands in the request in the only form the schema takes."""
    if "default" in schema:
        return {name: schema["default"]}
    if isinstance(schema.get("enum"), list):
        words = said.casefold()
        return next(
            ({name: value} for value in schema["enum"] if isinstance(value, str) and value.casefold() in words), {}
        )
    if schema.get("type") in {"integer", "number"} and (number := _NUMBER.search(said)):
        value = _as(schema, number[0])
        return {} if value is None else {name: value}
    return {}


def _as(schema: Mapping[str, Any], text: str) -> Any:
    """The text as the type that the schema wants; None when it cannot be."""
    try:
        match schema.get("type"):
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "yes": True, "false": False, "no": False}.get(text.casefold())
            case "string" | None:
                return text
            case _:
                return None
    except ValueError:
        return None
