"""Tools as they are packed for a model, once for all answers."""

from __future__ import annotations

from parley_chat.adapters.inference_messages import PackedTools, pack_tool
from parley_chat.ports.toolbox import ToolDefinition


def test_each_tool_is_packed_once_and_as_itself() -> None:
    tools = PackedTools()
    definitions = [
        ToolDefinition("look_up", "Looks up.", {"type": "object", "properties": {name: {"type": "string"}}})
        for name in ("place", "time", "place")
    ]
    first = [tools.pack(one) for one in definitions]
    assert first == [pack_tool(one) for one in definitions]
    assert all(tools.pack(one) is packed for one, packed in zip(definitions, first, strict=True))


def test_a_definition_that_nobody_else_keeps_is_not_taken_for_a_later_one() -> None:
    tools = PackedTools()
    for number in range(100):
        packed = tools.pack(ToolDefinition(f"tool_{number}", "", {"type": "object"}))
        assert packed.name == f"tool_{number}"
