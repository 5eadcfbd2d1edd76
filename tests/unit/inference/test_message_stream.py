"""Events of messages become the events of a generation: merged, in order, and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from parley_inference.adapters.message_stream import MessageStream
from parley_inference.adapters.written_pieces import MOST_CHARACTERS_OF_ARGUMENTS, MOST_TOOL_CALLS
from parley_inference.domain.errors import ProviderUnavailableError
from parley_inference.domain.generation import GenerationFinished, ReasoningDelta, TextDelta, TokenUsage
from parley_inference.domain.prompt import ToolCall
from parley_inference.ports.language_model import MOST_CHARACTERS_OF_A_DELTA

STOP: dict[str, Any] = {"type": "message_stop"}


def started(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"usage": usage}}


def block(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **fields}}


def fed(*events: dict[str, Any]) -> MessageStream:
    stream = MessageStream("fake")
    for event in events:
        stream.feed(json.dumps(event).encode())
    return stream


def test_text_of_one_read_leaves_as_one_event_and_reasoning_apart() -> None:
    stream = fed(
        delta(0, "thinking", thinking="h"),
        delta(0, "thinking", thinking="m"),
        delta(1, "text", text="Hel"),
        delta(1, "text", text=""),
        delta(1, "text", text="lo"),
    )
    assert stream.take() == [ReasoningDelta("hm"), TextDelta("Hello")]
    assert stream.take() == []
    assert stream.tokens_heard == 4


def test_text_that_came_with_the_beginning_of_a_block_counts_too() -> None:
    assert fed(block(0, "thinking", thinking="hm"), block(1, "text", text="Hi")).take() == [
        ReasoningDelta("hm"),
        TextDelta("Hi"),
    ]


def test_a_large_delta_is_cut_to_what_an_event_may_hold() -> None:
    events = fed(delta(0, "text", text="x" * (MOST_CHARACTERS_OF_A_DELTA + 1))).take()
    assert [len(event.text) for event in events if isinstance(event, TextDelta)] == [MOST_CHARACTERS_OF_A_DELTA, 1]


def test_pings_and_that_it_began_to_think_are_no_tokens() -> None:
    stream = fed({"type": "ping"}, started(input_tokens=1), block(0, "thinking", thinking="", signature=""))
    assert stream.tokens_heard == 0
    stream.feed(json.dumps(delta(0, "signature", signature="x")).encode())
    assert stream.tokens_heard == 1


def test_figures_are_totals_and_those_that_are_missing_stay() -> None:
    stream = fed(
        started(input_tokens=10, cache_read_input_tokens=4, cache_creation_input_tokens=2, output_tokens=1),
        delta(0, "text", text="x" * 40),
    )
    assert stream.usage == TokenUsage(16, 10, 4, estimated=True, cache_write_input_tokens=2)
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    stream.feed(json.dumps(end).encode())
    assert stream.usage == TokenUsage(16, 9, 4, cache_write_input_tokens=2)


def test_what_a_provider_did_not_count_is_not_made_up() -> None:
    assert not any(isinstance(event, TokenUsage) for event in fed(delta(0, "text", text="a"), STOP).end())


def test_arguments_may_come_with_the_beginning_of_a_call() -> None:
    events = fed(block(0, "tool_use", id="t", name="clock", input={"a": 1}), STOP).end()
    assert [event for event in events if isinstance(event, ToolCall)] == [ToolCall("t", "clock", '{"a":1}')]


def test_calls_are_bounded_and_need_a_name() -> None:
    calls = [block(index, "tool_use", id=f"t{index}", name="x", input={}) for index in range(MOST_TOOL_CALLS + 1)]
    fed(*calls[:-1])
    with pytest.raises(ProviderUnavailableError, match="more than may be read"):
        fed(*calls)
    half = "x" * (MOST_CHARACTERS_OF_ARGUMENTS // 2 + 1)
    with pytest.raises(ProviderUnavailableError, match="more than may be read"):
        fed(calls[0], *[delta(0, "input_json", partial_json=half)] * 2)
    with pytest.raises(ProviderUnavailableError, match="without naming it"):
        fed(block(0, "tool_use", id="t"), STOP).end()


def test_a_body_that_breaks_off_gives_no_end_and_no_call() -> None:
    stream = fed(block(0, "tool_use", id="t", name="clock", input={}))
    with pytest.raises(ProviderUnavailableError, match="broke off"):
        stream.end()
    assert isinstance(fed(STOP).end()[-1], GenerationFinished)
