"""The body that is sent to Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

from parley_inference.adapters.message_request import MessageForm, body_of
from parley_inference.domain.prompt import (
    GenerationRequest,
    Passage,
    PromptMessage,
    Role,
    Sampling,
    Tool,
    ToolCall,
)

USER = PromptMessage(Role.USER, "Why?")


def sent(*messages: PromptMessage, **fields: Any) -> dict[str, Any]:
    return body_of(
        GenerationRequest(messages, "m", **fields), MessageForm(sampling=False, schema=True), default_max_tokens=500
    )


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_a_plain_question_sends_nothing_that_was_not_asked_for() -> None:
    assert sent(USER) == {
        "model": "m",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": [text("Why?")]}],
        "stream": True,
    }


def test_instructions_and_passages_are_the_system_field() -> None:
    body = sent(
        PromptMessage(Role.SYSTEM, "Be brief."),
        PromptMessage(Role.SYSTEM, "Be kind."),
        USER,
        passages=(Passage(1, "Guide", "Turn it on."),),
    )
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert body["system"].startswith("Be brief.\n\nBe kind.\n\n")
    assert "[1] Guide\nTurn it on." in body["system"]


def test_sides_that_speak_twice_are_one_message_and_blank_text_is_none() -> None:
    body = sent(USER, PromptMessage(Role.USER, " "), PromptMessage(Role.USER, "Tell me."))
    assert body["messages"] == [{"role": "user", "content": [text("Why?"), text("Tell me.")]}]


def test_tool_calls_and_their_results_find_each_other() -> None:
    calls = (ToolCall("call.1", "clock", '{"zone": "UTC"}'), ToolCall("call_2", "clock", "[1"))
    body = sent(
        USER,
        PromptMessage(Role.ASSISTANT, "One moment.", calls),
        PromptMessage(Role.TOOL, "12:00", tool_call_id="call.1"),
        PromptMessage(Role.TOOL, "", tool_call_id="call_2"),
        tools=(Tool("clock", "Tells the time.", {"properties": {}}), Tool("ping", "", {})),
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                text("One moment."),
                {"type": "tool_use", "id": "call_1", "name": "clock", "input": {"zone": "UTC"}},
                {"type": "tool_use", "id": "call_2", "name": "clock", "input": {"arguments": "[1"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [text("12:00")]},
                {"type": "tool_result", "tool_use_id": "call_2"},
            ],
        },
    ]
    assert body["tools"] == [
        {"name": "clock", "description": "Tells the time.", "input_schema": {"type": "object", "properties": {}}},
        {"name": "ping", "input_schema": {"type": "object"}},
    ]


def test_a_conversation_that_begins_with_the_assistant_is_given_a_beginning() -> None:
    body = sent(PromptMessage(Role.ASSISTANT, "Welcome."), USER)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]


def test_the_callers_limit_and_stops_are_sent() -> None:
    body = sent(USER, sampling=Sampling(max_output_tokens=9, stop_sequences=("END",), temperature=0.5, seed=1))
    assert (body["max_tokens"], body["stop_sequences"]) == (9, ["END"])
    assert not {"temperature", "seed", "stop"} & body.keys()
