"""Puts into words what came of the tools that were just called: lists, single things, errors. It knows JSON, and no tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from parley_inference.domain.prompt import PromptMessage, Role

_MOST_CHARACTERS = 1500
_NAMES = ("title", "name", "text", "subject", "summary")
_OF_NO_INTEREST = ("create_time", "update_time", "time_zone", "turn_id", "next_page_token")
_MOST_ITEMS = 20


def report(messages: tuple[PromptMessage, ...]) -> str:
    """What came of the tools at the end of the messages, in the order of the calls."""
    names = {call.tool_call_id: call.name for message in messages for call in message.tool_calls}
    results: list[PromptMessage] = []
    for message in reversed(messages):
        if message.role is not Role.TOOL:
            break
        results.insert(0, message)
    return "\n\n".join(_result(names.get(result.tool_call_id, "the tool"), result.text) for result in results)


def _result(name: str, text: str) -> str:
    shown = text.strip()
    if len(shown) > _MOST_CHARACTERS:
        shown = f"{shown[:_MOST_CHARACTERS]}…"
    try:
        facts = json.loads(text)
    except ValueError:
        return f"`{name}` answered: {shown}"
    if not isinstance(facts, dict):
        return f"`{name}` answered: {shown}"
    if error := facts.get("error"):
        words = error.get("message") if isinstance(error, dict) else error
        return f"`{name}` did not work: {words if isinstance(words, str) else json.dumps(error, ensure_ascii=False)}"
    wrapped = [value for key, value in facts.items() if key not in _OF_NO_INTEREST]
    if not wrapped:
        return f"Done, with `{name}`." if not name.startswith("list") else f"`{name}` found nothing."
    if len(wrapped) == 1 and isinstance(wrapped[0], list):
        return _list(name, wrapped[0])
    if len(wrapped) == 1 and isinstance(wrapped[0], dict):
        facts = wrapped[0]
    lines = "\n".join(_lines(facts))[:_MOST_CHARACTERS]
    return f"Done, with `{name}`:\n\n{lines or shown}"


def _list(name: str, items: list[Any]) -> str:
    if not items:
        return f"`{name}` found nothing."
    lines = [f"- {_item(item)}" for item in items[:_MOST_ITEMS]]
    if len(items) > _MOST_ITEMS:
        lines.append(f"- … and {len(items) - _MOST_ITEMS} more")
    return f"`{name}` found:\n\n" + "\n".join(lines)


def _item(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)[:200]
    name = next((str(item[key]) for key in _NAMES if item.get(key)), "")
    due = _local(item, "due_time")
    return f"{name}{f', due {due}' if due else ''}" if name else json.dumps(item, ensure_ascii=False)[:200]


def _lines(facts: Mapping[str, Any]) -> list[str]:
    return [
        f"- {key.removesuffix('_time').replace('_', ' ')}: {_local(facts, key) or _plain(value)}"
        for key, value in facts.items()
        if isinstance(value, (str, int, float))
        and value != ""
        and key not in _OF_NO_INTEREST
        and not key.endswith("_id")
    ]


def _plain(value: object) -> str:
    """A value as people write it: the names of the contract's enums begin with those of their kinds."""
    text = str(value)
    return text.rpartition("_")[2].lower() if text.isupper() and "_" in text else text


def _local(facts: Mapping[str, Any], key: str) -> str:
    """A time in the zone that stands beside it; empty for what is none."""
    written = facts.get(key)
    if not key.endswith("_time") or not isinstance(written, str):
        return ""
    try:
        zone = str(facts.get("time_zone") or "UTC")
        local = datetime.fromisoformat(written).astimezone(ZoneInfo(zone))
    except (ValueError, KeyError, OSError):
        return ""
    return f"{local:%A, %Y-%m-%d %H:%M} ({zone})"
