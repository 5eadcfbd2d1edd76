"""Chunks of completions become the events of a generation: merged, in order, and robust against what servers send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from parley_inference.adapters.completion_stream import CompletionStream
from parley_inference.adapters.written_pieces import MOST_CHARACTERS_OF_ARGUMENTS, MOST_TOOL_CALLS
from parley_inference.domain.errors import ProviderRateLimitedError, ProviderUnavailableError
from parley_inference.domain.generation import (
    FinishReason,
    GenerationFinished,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.prompt import ToolCall


def chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, **fields: Any) -> bytes:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return json.dumps({"choices": choices, **fields}).encode()


def text(words: str) -> bytes:
    return chunk({"content": words})


def call(index: int | None, *, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> bytes:
    fragment: dict[str, Any] = {"function": {}}
    if index is not None:
        fragment["index"] = index
    if call_id is not None:
        fragment["id"] = call_id
    if name is not None:
        fragment["function"]["name"] = name
    if arguments is not None:
        fragment["function"]["arguments"] = arguments
    return chunk({"tool_calls": [fragment]})


def read(*chunks: bytes) -> list[Any]:
    """All events, each chunk in a read of its own."""
    stream = CompletionStream("fake")
    events: list[Any] = []
    for data in chunks:
        stream.feed(data)
        events += stream.take()
    return events + stream.end()


def test_text_of_one_read_leaves_as_one_event() -> None:
    stream = CompletionStream("fake")
    for word in ("Hel", "lo", " world"):
        stream.feed(text(word))
    assert stream.take() == [TextDelta("Hello world")]
    assert stream.take() == []


def test_reasoning_and_text_keep_their_order() -> None:
    stream = CompletionStream("fake")
    for delta in (
        {"reasoning_content": "a"},
        {"reasoning": "b"},
        {"content": "c"},
        {"reasoning": "d"},
        {"content": "e"},
    ):
        stream.feed(chunk(delta))
    assert stream.take() == [ReasoningDelta("ab"), TextDelta("c"), ReasoningDelta("d"), TextDelta("e")]


def test_reasoning_under_both_of_its_names_is_not_doubled() -> None:
    assert read(chunk({"reasoning": "once", "reasoning_content": "once"}), chunk(finish="stop"))[0] == ReasoningDelta(
        "once"
    )


def test_a_very_large_delta_leaves_in_pieces_that_fit() -> None:
    large = "x" * 1_000_000
    events = read(text(large), chunk(finish="stop"))
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(pieces) == large
    assert max(map(len, pieces)) <= 65_536


def test_fragments_of_tool_calls_are_joined_by_their_index() -> None:
    events = read(
        text("Let me see."),
        call(0, call_id="call_a", name="one", arguments=""),
        call(1, call_id="call_b", name="two", arguments='{"y"'),
        call(0, arguments='{"x":'),
        call(1, arguments=": 2}"),
        call(0, arguments=" 1}"),
        chunk(finish="tool_calls"),
    )
    assert events == [
        TextDelta("Let me see."),
        ToolCall("call_a", "one", '{"x": 1}'),
        ToolCall("call_b", "two", '{"y": 2}'),
        GenerationFinished(FinishReason.TOOL_CALLS),
    ]


def test_whole_calls_that_share_an_index_or_have_none_stay_apart() -> None:
    for index in (0, None):
        events = read(
            call(index, call_id="call_a", name="one", arguments="{}"),
            call(index, call_id="call_b", name="two", arguments={"n": 1}),
            chunk(finish="stop"),
        )
        assert events == [
            ToolCall("call_a", "one", "{}"),
            ToolCall("call_b", "two", '{"n":1}'),
            GenerationFinished(FinishReason.TOOL_CALLS),
        ]


def test_a_call_without_arguments_or_id_gets_both() -> None:
    assert read(call(0, name="now"), chunk(finish="tool_calls"))[0] == ToolCall("call_1", "now", "{}")


def test_a_call_without_a_name_is_the_providers_fault() -> None:
    with pytest.raises(ProviderUnavailableError):
        read(call(0, call_id="x", arguments="{}"), chunk(finish="tool_calls"))


def test_endless_arguments_are_refused() -> None:
    stream = CompletionStream("fake")
    stream.feed(call(0, name="x", arguments="y" * 900_000))
    with pytest.raises(ProviderUnavailableError):
        stream.feed(call(0, arguments="y" * 200_000))


def test_usage_comes_before_the_end_and_the_last_figures_count() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}}
    events = read(
        chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}),
        chunk(finish="stop"),
        json.dumps({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4, **details}}).encode(),
        b"[DONE]",
    )
    assert events == [TextDelta("a"), TokenUsage(5, 4, 3, 2), GenerationFinished(FinishReason.STOP)]


@pytest.mark.parametrize("usage", [{"prompt_tokens": None}, {"prompt_tokens": -4}, {"prompt_tokens": "many"}, [1], "x"])
def test_figures_that_are_none_do_no_harm(usage: Any) -> None:
    events = read(text("a"), chunk(finish="stop", usage=usage))
    assert events[-1] == GenerationFinished(FinishReason.STOP)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("eos_token", FinishReason.STOP),
    ],
)
def test_reasons_to_end_are_translated(said: str, meant: FinishReason) -> None:
    assert read(text("a"), chunk(finish=said)) == [TextDelta("a"), GenerationFinished(meant)]


def test_arguments_without_end_are_the_providers_fault_in_one_call_or_in_many() -> None:
    half = "x" * (MOST_CHARACTERS_OF_ARGUMENTS // 2)
    for second in (0, 1):
        stream = CompletionStream("fake")
        stream.feed(call(0, call_id="c0", name="write", arguments=half))
        stream.feed(call(second, call_id=f"c{second}", name="write", arguments=half))
        with pytest.raises(ProviderUnavailableError):
            stream.feed(call(second, arguments="x"))


def test_calls_without_end_are_the_providers_fault() -> None:
    stream = CompletionStream("fake")
    for number in range(MOST_TOOL_CALLS):
        stream.feed(call(number, name="write"))
    with pytest.raises(ProviderUnavailableError):
        stream.feed(call(MOST_TOOL_CALLS, name="write"))


def test_chunks_without_choices_or_content_are_passed_over() -> None:
    empty = [
        b'{"choices": []}',
        b"{}",
        b'{"choices": [{}]}',
        b'{"choices": [null]}',
        chunk({"role": "assistant", "content": ""}),
    ]
    assert read(*empty, text("a"), chunk({"content": None}, finish="stop")) == [
        TextDelta("a"),
        GenerationFinished(FinishReason.STOP),
    ]


def test_a_body_that_ends_before_the_model_did_broke_off() -> None:
    stream = CompletionStream("fake")
    stream.feed(text("half"))
    assert stream.take() == [TextDelta("half")]
    with pytest.raises(ProviderUnavailableError):
        stream.end()


def test_done_without_a_reason_is_an_end() -> None:
    assert read(text("a"), b"[DONE]") == [TextDelta("a"), GenerationFinished(FinishReason.STOP)]


@pytest.mark.parametrize(
    "garbage", [b"{not json", b"[1]", b"null", b'"text"', b'{"choices": [{"delta": {"content": "\xff"}}]}']
)
def test_what_is_no_completion_is_the_providers_fault(garbage: bytes) -> None:
    with pytest.raises(ProviderUnavailableError):
        CompletionStream("fake").feed(garbage)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "secret place /srv/x", "type": "server_error"}, ProviderUnavailableError),
        ("out of memory", ProviderUnavailableError),
        ({"message": "slow down", "type": "rate_limit_exceeded"}, ProviderRateLimitedError),
        ({"message": "slow down", "code": 429}, ProviderRateLimitedError),
    ],
)
def test_an_error_in_the_stream_is_an_error_and_its_words_stay_here(error: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        CompletionStream("fake").feed(json.dumps({"error": error}).encode())
    assert "secret" not in str(raised.value)


def test_what_the_model_wrote_counts_as_heard_and_comments_do_not() -> None:
    stream = CompletionStream("fake")
    stream.feed(b'{"choices": []}')
    assert stream.tokens_heard == 0
    stream.feed(text("a"))
    stream.feed(call(0, name="x", arguments="{}"))
    assert stream.tokens_heard == 2
