"""The body that is sent to OpenAI-compatible servers."""

from __future__ import annotations

import pytest
from parley_inference.adapters.completion_request import Dialect, Prefill, body_of, prefill_of
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


def compatible() -> Dialect:
    return Dialect.of_host("localhost")


def test_a_plain_question_sends_nothing_that_was_not_asked_for() -> None:
    body = body_of(GenerationRequest((USER,), "m"), compatible())
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Why?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_instructions_and_passages_are_one_system_message_that_asks_for_citations() -> None:
    request = GenerationRequest(
        (PromptMessage(Role.SYSTEM, "Be brief."), PromptMessage(Role.SYSTEM, "Be kind."), USER),
        "m",
        passages=(Passage(1, "Guide", "Turn it on.", "Start"), Passage(2, "", "Turn it off.")),
    )
    messages = body_of(request, compatible())["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    system = messages[0]["content"]
    assert system.startswith("Be brief.\n\nBe kind.\n\n")
    assert "[1] Guide › Start\nTurn it on." in system
    assert "[2]\nTurn it off." in system
    assert "square brackets" in system


def test_tool_calls_and_their_results_keep_their_ids() -> None:
    request = GenerationRequest(
        (
            USER,
            PromptMessage(Role.ASSISTANT, "", (ToolCall("call_1", "clock", '{"zone": "UTC"}'),)),
            PromptMessage(Role.TOOL, "12:00", tool_call_id="call_1"),
        ),
        "m",
        tools=(
            Tool("clock", "Tells the time.", {"type": "object", "properties": {"zone": {"type": "string"}}}),
            Tool("ping", "", {}),
        ),
    )
    body = body_of(request, compatible())
    function = {"name": "clock", "arguments": '{"zone": "UTC"}'}
    assert body["messages"][1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    assert body["messages"][2] == {"role": "tool", "content": "12:00", "tool_call_id": "call_1"}
    assert [tool["function"]["name"] for tool in body["tools"]] == ["clock", "ping"]
    assert body["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_sampling_is_sent_under_the_names_of_the_api() -> None:
    sampling = Sampling(temperature=0.0, top_p=0.5, max_output_tokens=9, stop_sequences=("END",), seed=0)
    body = body_of(GenerationRequest((USER,), "m", sampling=sampling), compatible())
    assert {name: body[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed")} == {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 9,
        "stop": ["END"],
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("host", "parameter"),
    [
        ("api.openai.com", "max_completion_tokens"),
        ("eu.api.openai.com", "max_completion_tokens"),
        ("mine.openai.azure.com", "max_completion_tokens"),
        ("localhost", "max_tokens"),
        ("openai.com.example.org", "max_tokens"),
    ],
)
def test_the_limit_is_named_as_the_host_knows_it(host: str, parameter: str) -> None:
    request = GenerationRequest((USER,), "m", sampling=Sampling(max_output_tokens=5))
    body = body_of(request, Dialect.of_host(host))
    assert body[parameter] == 5
    assert len({"max_tokens", "max_completion_tokens"} & set(body)) == 1


def test_a_refusal_that_names_the_other_parameter_is_learnt_from() -> None:
    dialect = compatible()
    assert dialect.learn("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    assert dialect.limit_parameter == "max_completion_tokens"


def test_a_server_that_refuses_stream_options_is_asked_without_them_from_then_on() -> None:
    dialect = compatible()
    assert dialect.learn("Extra inputs are not permitted: stream_options")
    assert "stream_options" not in body_of(GenerationRequest((USER,), "m"), dialect)
    assert not dialect.learn("Extra inputs are not permitted: stream_options")


def test_a_refusal_of_the_value_is_not_taken_for_one_of_the_name() -> None:
    assert not compatible().learn("max_tokens is too large: 999999")


@pytest.mark.parametrize(
    ("prefill", "begun", "more"),
    [
        (Prefill.LAST, {}, {}),
        (Prefill.PREFIX, {"prefix": True}, {}),
        (Prefill.CONTINUE, {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_a_server_that_goes_on_with_an_answer_is_given_its_beginning_in_the_form_that_it_knows(
    prefill: Prefill, begun: dict[str, bool], more: dict[str, bool]
) -> None:
    dialect = Dialect.of_host("localhost", prefill)
    plain = body_of(GenerationRequest((USER,), "m"), dialect)
    body = body_of(GenerationRequest((USER,), "m", answer_so_far="Because "), dialect)
    beginning = {"role": "assistant", "content": "Because "} | begun
    assert body == plain | {"messages": [*plain["messages"], beginning]} | more


def test_any_other_server_is_told_nothing_of_it() -> None:
    request = GenerationRequest((USER,), "m")
    begun = GenerationRequest((USER,), "m", answer_so_far="Because ")
    assert body_of(begun, compatible()) == body_of(request, compatible())


@pytest.mark.parametrize(
    ("base_url", "prefill"),
    [
        ("https://api.mistral.ai/v1", Prefill.PREFIX),
        ("https://api.deepseek.com/beta", Prefill.PREFIX),
        ("https://api.deepseek.com/v1", Prefill.NONE),
        ("https://api.openai.com/v1", Prefill.NONE),
        ("http://localhost:8000/v1", Prefill.NONE),
        ("https://api.mistral.ai.example.org/v1", Prefill.NONE),
    ],
)
def test_who_goes_on_with_an_answer_is_known_by_its_host(base_url: str, prefill: Prefill) -> None:
    assert prefill_of(base_url) is prefill
