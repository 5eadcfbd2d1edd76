"""Which calls ask, whose arguments fit, and tools of several sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from parley_chat.domain.json_fit import MOST_MISFITS, misfits_of
from parley_chat.domain.tool_approvals import ConsentPolicy, ToolEffect
from parley_chat.operations.tool_sources import ToolSources
from parley_chat.ports.toolbox import ToolCall, ToolDefinition, ToolOutcome

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 5},
        "due": {"type": "string", "format": "date-time"},
        "level": {"type": "integer", "minimum": 1, "maximum": 3},
        "kind": {"enum": ["a", "b", None]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "more": {"type": ["object", "null"], "properties": {"deep": {"type": "number"}}, "required": ["deep"]},
    },
    "required": ["title"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "arguments",
    [
        {"title": "Pay"},
        {"title": "Pay", "due": "2026-01-31T09:00:00", "level": 2, "kind": None, "tags": ["x"], "more": {"deep": 1.5}},
        {"title": "Pay", "level": 3.0, "more": None},
    ],
)
def test_what_fits_the_schema_is_let_through(arguments: dict[str, Any]) -> None:
    assert misfits_of(SCHEMA, json.dumps(arguments)) == []


@pytest.mark.parametrize(
    ("arguments_json", "path"),
    [
        ("", "title"),
        ("{", ""),
        ("7", ""),
        ('{"title": NaN}', ""),
        ('{"title": ""}', "title"),
        ('{"title": "longer"}', "title"),
        ('{"title": 1}', "title"),
        ('{"title": "x", "due": "tomorrow"}', "due"),
        ('{"title": "x", "level": 0}', "level"),
        ('{"title": "x", "level": 4}', "level"),
        ('{"title": "x", "level": 1.5}', "level"),
        ('{"title": "x", "level": true}', "level"),
        ('{"title": "x", "kind": "c"}', "kind"),
        ('{"title": "x", "tags": ["a", 1]}', "tags[1]"),
        ('{"title": "x", "tags": ["a", "b", "c"]}', "tags"),
        ('{"title": "x", "more": {}}', "more.deep"),
        ('{"title": "x", "more": {"deep": "1"}}', "more.deep"),
        ('{"title": "x", "other\\n": 1}', "other?"),
    ],
)
def test_what_does_not_fit_is_named(arguments_json: str, path: str) -> None:
    assert [name for name, _ in misfits_of(SCHEMA, arguments_json)] == [path]


def test_not_more_is_told_than_can_be_read_and_no_depth_breaks_it() -> None:
    many = json.dumps({"title": "x", **{f"n{number}": 1 for number in range(100)}})
    assert len(misfits_of(SCHEMA, many)) == MOST_MISFITS
    assert misfits_of(SCHEMA, "[" * 100_000) == [("", "must be JSON")]
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    nested = {"properties": {"a": schema}}
    assert misfits_of(nested, '{"a": ' + "[" * 50 + "]" * 50 + "}")[0][1] == "must not be nested so deeply"


def test_a_schema_of_another_server_that_is_no_good_one_breaks_nothing() -> None:
    strange: dict[str, Any] = {
        "type": ["object"],
        "properties": {"a": True, "b": {"type": "strange"}, "c": {"minimum": "x"}},
        "required": ["a"],
    }
    assert misfits_of(strange, '{"a": 1, "c": 1}') == []
    assert misfits_of({"properties": [], "required": []}, "{}") == []


@pytest.mark.parametrize(
    ("asks", "effect", "own_wish", "needs"),
    [
        ({"delete"}, ToolEffect.DELETE, None, True),
        ({"delete"}, ToolEffect.WRITE, None, False),
        ({"external"}, ToolEffect.EXTERNAL, False, False),
        (set(), ToolEffect.EXTERNAL, True, True),
        ({"a_tool"}, ToolEffect.READ, False, True),
        (set(), ToolEffect.EXTERNAL, None, False),
    ],
)
def test_a_name_counts_most_then_the_source_then_the_effect(
    asks: set[str], effect: ToolEffect, own_wish: bool | None, needs: bool
) -> None:
    assert ConsentPolicy(asks).needs_approval("a_tool", effect, own_wish) is needs


class Source:
    """Tools that say who ran them."""

    def __init__(self, name: str, *tools: ToolDefinition, broken: bool = False) -> None:
        self.name = name
        self.definitions = tools
        self.broken = broken

    async def tools(self, user_id: str) -> Sequence[ToolDefinition]:
        if self.broken:
            raise OSError(self.name)
        return self.definitions

    async def run(self, call: ToolCall) -> ToolOutcome:
        return ToolOutcome(json.dumps({"by": self.name}))


def tool(name: str, scope: str = "") -> ToolDefinition:
    return ToolDefinition(name, "", {}, scope=scope)


def call_of(name: str, *scopes: str) -> ToolCall:
    return ToolCall("usr_1", scopes, "call_1", name, "{}", "UTC")


async def test_tools_of_all_sources_are_offered_in_their_order_and_the_first_of_a_name_runs() -> None:
    toolbox = ToolSources(
        [
            Source("one", tool("a", "x:read"), tool("b")),
            Source("gone", broken=True),
            Source("two", tool("b"), tool("c")),
        ],
        ConsentPolicy({"c"}),
    )
    assert [each.name for each in await toolbox.offered("usr_1", ["x:read"])] == ["a", "b", "c"]
    assert [each.name for each in await toolbox.offered("usr_1", [])] == ["b", "c"]
    assert [each.needs_approval for each in await toolbox.offered("usr_1", [])] == [False, True]
    assert json.loads((await toolbox.run(call_of("b"))).result_json) == {"by": "one"}
    assert json.loads((await toolbox.run(call_of("c"))).result_json) == {"by": "two"}
    assert not (await toolbox.run(call_of("a", "x:read"))).failed
    assert (await toolbox.run(call_of("a"))).failed
    assert (await toolbox.run(call_of("d"))).failed
    assert await toolbox.find("usr_1", "d") is None


async def test_the_same_tool_is_told_as_the_same_object_again() -> None:
    toolbox = ToolSources([Source("one", tool("a"))], ConsentPolicy(()))
    [first], [second] = await toolbox.offered("usr_1", []), await toolbox.offered("usr_1", [])
    assert first is second
