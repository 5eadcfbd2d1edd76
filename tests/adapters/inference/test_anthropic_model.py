"""What is Anthropic's own in its adapter, against a server as strict as the API. What every provider's adapter does is in
`test_remote_language_models.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from parley_inference.adapters.anthropic_model import AnthropicModel
from parley_inference.adapters.continued_language_model import GO_ON, ContinuedLanguageModel
from parley_inference.domain.errors import (
    InferenceError,
    ProviderQuotaError,
    ProviderRateLimitedError,
    ProviderUnavailableError,
)
from parley_inference.domain.generation import (
    FinishReason,
    GenerationFinished,
    GenerationStarted,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role, Sampling, Tool, ToolCall
from parley_inference.ports.language_model import LanguageModel
from parley_testing.fake_anthropic import NEW_VERSION, OLD_VERSION, FakeAnthropic, event_of
from parley_testing.fake_openai import FakeToolCall, Reply, numbered_words

Claude = Callable[..., AnthropicModel]
KEY = "sk-test-0123456789"
WORDS = numbered_words(40)
ASKED = GenerationRequest((PromptMessage(Role.USER, "Go on."),), "fake-claude")


async def events_of(model: LanguageModel, request: GenerationRequest = ASKED) -> tuple[list[Any], Exception | None]:
    """All events, and the error that ended them."""
    events: list[Any] = []
    try:
        async with aclosing(model.generate(request)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before an error is looked at
    except InferenceError as error:
        return events, error
    return events, None


def text_of(events: Sequence[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def gone_on(so_far: str, **fields: Any) -> GenerationRequest:
    return GenerationRequest(ASKED.messages, "fake-claude", answer_so_far=so_far, **fields)


def delta(text: str) -> bytes:
    return event_of({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


async def test_an_answer_arrives_whole_with_the_providers_usage(anthropic: FakeAnthropic, claude: Claude) -> None:
    anthropic.reply = Reply(pieces=WORDS, reasoning=("hm ", "well"), cached_input_tokens=3, reasoning_tokens=2)
    anthropic.cache_creation_tokens = 5
    events, error = await events_of(claude())
    assert error is None
    assert events[0] == GenerationStarted("fake-claude", "fake")
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "hm well"
    assert text_of(events) == "".join(WORDS)
    assert events[-2:] == [
        TokenUsage(7 + 3 + 5, 42, 3, 2, cache_write_input_tokens=5),
        GenerationFinished(FinishReason.STOP),
    ]


async def test_the_request_carries_the_key_the_version_and_a_limit(anthropic: FakeAnthropic, claude: Claude) -> None:
    await events_of(claude())
    request = anthropic.requests[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    # A server that is not Anthropic's may know only this one.
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == NEW_VERSION
    assert (request.body["model"], request.body["stream"], request.body["max_tokens"]) == ("fake-claude", True, 1000)


async def test_nothing_of_the_environment_is_sent_that_the_settings_do_not_know(
    anthropic: FakeAnthropic, claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-secret: leaked")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "leaked-token")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "leaked-key")
    await events_of(claude(key=""))
    headers = anthropic.requests[0].headers
    assert not {"authorization", "x-api-key", "x-secret"} & headers.keys()
    assert "leaked" not in str(headers)


async def test_tools_are_called_whole_several_at_once(anthropic: FakeAnthropic, claude: Claude) -> None:
    calls = (FakeToolCall("clock", '{"zone": "Europe/Berlin"}', "toolu_1"), FakeToolCall("ping", "", "toolu_2"))
    anthropic.reply = Reply(pieces=("Let me see.",), tool_calls=calls)
    request = GenerationRequest(ASKED.messages, "fake-claude", tools=(Tool("clock", "", {}), Tool("ping", "", {})))
    events, error = await events_of(claude(), request)
    assert error is None
    assert text_of(events) == "Let me see."
    assert [event for event in events if isinstance(event, ToolCall)] == [
        ToolCall("toolu_1", "clock", '{"zone": "Europe/Berlin"}'),
        ToolCall("toolu_2", "ping", "{}"),
    ]
    assert events[-1] == GenerationFinished(FinishReason.TOOL_CALLS)


async def test_a_conversation_with_tools_of_another_provider_is_taken(anthropic: FakeAnthropic, claude: Claude) -> None:
    request = GenerationRequest(
        (
            PromptMessage(Role.ASSISTANT, "Welcome."),
            PromptMessage(Role.USER, "What time is it?"),
            PromptMessage(Role.USER, " \n"),
            PromptMessage(
                Role.ASSISTANT, "", (ToolCall("functions.clock:0", "clock", "{}"), ToolCall("b", "ping", "?"))
            ),
            PromptMessage(Role.TOOL, "12:00", tool_call_id="functions.clock:0"),
            PromptMessage(Role.TOOL, "", tool_call_id="b"),
            PromptMessage(Role.USER, "And now?"),
        ),
        "fake-claude",
    )
    _, error = await events_of(claude(), request)
    assert error is None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("pause_turn", FinishReason.LENGTH),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("something_new", FinishReason.STOP),
    ],
)
async def test_why_it_ended_is_told(
    anthropic: FakeAnthropic, claude: Claude, reason: str, finish: FinishReason
) -> None:
    anthropic.reply = Reply(finish_reason=reason)
    events, _ = await events_of(claude())
    assert events[-1] == GenerationFinished(finish)


async def test_characters_that_are_cut_in_two_arrive_whole(anthropic: FakeAnthropic, claude: Claude) -> None:
    body = delta("é€😀") + event_of({"type": "message_stop"})
    anthropic.reply = Reply(body=[body[at : at + 1] for at in range(len(body))])
    events, error = await events_of(claude())
    assert error is None
    assert text_of(events) == "é€😀"


async def test_garbage_after_good_text_is_an_error_after_the_text(anthropic: FakeAnthropic, claude: Claude) -> None:
    for garbage in (b"event: x\ndata: {oops\n\n", b'event: x\ndata: "text"\n\n'):
        anthropic.enqueue(Reply(body=[delta("good") + garbage]))
        events, error = await events_of(claude())
        assert text_of(events) == "good"
        assert type(error) is ProviderUnavailableError


async def test_what_is_not_known_is_passed_over(anthropic: FakeAnthropic, claude: Claude) -> None:
    news: list[dict[str, Any]] = [
        {"type": "news", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "hologram"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "hologram_delta", "text": "no"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_delta", "index": 1},
        {"type": "message_delta", "delta": None, "usage": {"output_tokens": "many", "cache": {"a": 1}}},
    ]
    anthropic.reply = Reply(
        body=[delta("a") + b"".join(map(event_of, news)) + delta("b") + event_of({"type": "message_stop"})]
    )
    events, error = await events_of(claude())
    assert error is None
    assert text_of(events) == "ab"
    assert not any(isinstance(event, ToolCall) for event in events)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ProviderUnavailableError),
        ("api_error", ProviderUnavailableError),
        ("invalid_request_error", ProviderUnavailableError),
        ("rate_limit_error", ProviderRateLimitedError),
        ("billing_error", ProviderQuotaError),
    ],
)
async def test_an_error_in_the_stream_ends_it_after_what_came(
    anthropic: FakeAnthropic, claude: Claude, kind: str, expected: type[Exception]
) -> None:
    failed = event_of({"type": "error", "error": {"type": kind, "message": "inner words"}})
    start = event_of({"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}})
    for before, text in ((b"", ""), (start + delta("x" * 400), "x" * 400)):
        anthropic.enqueue(Reply(body=[before + failed]))
        events, error = await events_of(claude())
        assert text_of(events) == text
        assert type(error) is expected
        assert "inner words" not in str(error)
    # The input is the provider's figure; of the answer it has told no more than a token.
    assert events[-1] == TokenUsage(5, 100, estimated=True)


async def test_an_account_that_may_spend_no_more_is_no_refusal_of_the_request(
    anthropic: FakeAnthropic, claude: Claude
) -> None:
    spent = {"message": "stop", "details": {"error_code": "enforced_spend_limit_reached"}}
    anthropic.enqueue(Reply(status=400, error=spent), Reply(status=402))
    for _ in range(2):
        _, error = await events_of(claude())
        assert type(error) is ProviderQuotaError


async def test_a_temperature_is_sent_in_the_version_that_takes_it(anthropic: FakeAnthropic, claude: Claude) -> None:
    for sampling, sent in (
        (Sampling(temperature=1.7, top_p=0.5), {"temperature": 1.0}),
        (Sampling(temperature=0.25), {"temperature": 0.25}),
        (Sampling(top_p=0.5), {"top_p": 0.5}),
    ):
        _, error = await events_of(claude(), GenerationRequest(ASKED.messages, "fake-claude", sampling=sampling))
        assert error is None
        request = anthropic.requests[-1]
        assert request.headers["anthropic-version"] == OLD_VERSION
        assert {name: request.body[name] for name in ("temperature", "top_p") if name in request.body} == sent


async def test_a_model_that_takes_no_temperature_is_asked_without_and_that_is_remembered(
    anthropic: FakeAnthropic, claude: Claude
) -> None:
    anthropic.takes_sampling = False
    model = claude()
    warm = GenerationRequest(ASKED.messages, "fake-claude", sampling=Sampling(temperature=0.5))
    for _ in range(2):
        events, error = await events_of(model, warm)
        assert error is None
        assert sum(isinstance(event, GenerationStarted) for event in events) == 1
    assert ["temperature" in request.body for request in anthropic.requests] == [True, False, False]
    assert anthropic.requests[-1].headers["anthropic-version"] == NEW_VERSION


async def test_a_model_may_think_first_and_its_thoughts_are_told_apart(
    anthropic: FakeAnthropic, claude: Claude
) -> None:
    anthropic.reply = Reply(reasoning=("Let me ", "see."), reasoning_tokens=7)
    events, error = await events_of(claude(thinking_tokens=2000))
    assert error is None
    assert anthropic.requests[0].body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me see."
    assert next(event for event in reversed(events) if isinstance(event, TokenUsage)).reasoning_tokens == 7


@pytest.mark.parametrize(
    "request_without",
    [
        gone_on("Begun"),
        GenerationRequest(ASKED.messages, "fake-claude", sampling=Sampling(temperature=0.5)),
        GenerationRequest(ASKED.messages, "fake-claude", sampling=Sampling(max_output_tokens=500)),
        GenerationRequest(ASKED.messages, "fake-claude", tools=(Tool("look", "", {"type": "object"}),)),
    ],
)
async def test_nothing_is_thought_where_the_api_would_refuse_it(
    anthropic: FakeAnthropic, claude: Claude, request_without: GenerationRequest
) -> None:
    _, error = await events_of(claude(thinking_tokens=2000), request_without)
    assert error is None
    assert "thinking" not in anthropic.requests[0].body


async def test_a_model_that_thinks_by_no_budget_is_asked_without_and_that_is_remembered(
    anthropic: FakeAnthropic, claude: Claude
) -> None:
    anthropic.takes_thinking = False
    model = claude(thinking_tokens=2000)
    for _ in range(2):
        _, error = await events_of(model)
        assert error is None
    assert ["thinking" in request.body for request in anthropic.requests] == [True, False, False]


async def test_a_refusal_for_another_reason_is_told_at_once(anthropic: FakeAnthropic, claude: Claude) -> None:
    anthropic.reply = Reply(status=400, error={"message": "metadata: not allowed"})
    _, error = await events_of(
        claude(), GenerationRequest(ASKED.messages, "fake-claude", sampling=Sampling(temperature=0.5))
    )
    assert "metadata: not allowed" in str(error)
    assert len(anthropic.requests) == 1


@pytest.mark.parametrize("so_far", ["".join(WORDS[:15]), "".join(WORDS[:15]).rstrip()], ids=["space", "no_space"])
async def test_it_goes_on_from_a_beginning_without_losing_or_doubling_a_space(
    anthropic: FakeAnthropic, claude: Claude, so_far: str
) -> None:
    anthropic.reply = Reply(pieces=WORDS)
    events, error = await events_of(ContinuedLanguageModel(claude(), has_prefill=True), gone_on(so_far))
    assert error is None
    assert so_far + text_of(events) == "".join(WORDS)
    last = anthropic.requests[0].body["messages"][-1]
    assert last == {"role": "assistant", "content": [{"type": "text", "text": so_far.rstrip()}]}


async def test_a_beginning_that_is_only_white_space_is_none(anthropic: FakeAnthropic, claude: Claude) -> None:
    events, error = await events_of(ContinuedLanguageModel(claude(), has_prefill=True), gone_on("\n\n"))
    assert error is None
    assert text_of(events).startswith("word1 ")
    assert anthropic.requests[0].body["messages"][-1]["role"] == "user"


async def test_a_model_that_takes_no_beginning_is_asked_in_words(anthropic: FakeAnthropic, claude: Claude) -> None:
    anthropic.reply = Reply(pieces=WORDS)
    anthropic.takes_prefill = False
    model = ContinuedLanguageModel(claude(), has_prefill=True)
    so_far = "".join(WORDS[:15])
    for _ in range(2):
        events, error = await events_of(model, gone_on(so_far))
        assert error is None
        assert so_far + text_of(events) == "".join(WORDS)
    lasts = [request.body["messages"][-1] for request in anthropic.requests]
    assert [last["role"] for last in lasts] == ["assistant", "user", "user"]
    assert lasts[1]["content"] == [{"type": "text", "text": GO_ON}]


async def test_the_list_begins_with_the_newest_of_the_middle_line(anthropic: FakeAnthropic, claude: Claude) -> None:
    anthropic.models = ("huge-9", "old-mid", "mid-9", "mid-8", "gone", "small-9")
    anthropic.lines = {"old-mid": "sonnet", "mid-9": "sonnet", "mid-8": "sonnet", "gone": "sonnet"}
    anthropic.lifecycles = {"old-mid": "deprecated", "gone": "retired"}
    assert await claude().model_names() == ["mid-9", "mid-8", "huge-9", "small-9", "old-mid"]
    # Servers that only speak like Anthropic's know of no lines.
    anthropic.enqueue(Reply(body=[json.dumps({"data": [{"id": "b"}, {"id": "a"}]}).encode()]))
    assert await claude().model_names() == ["b", "a"]
