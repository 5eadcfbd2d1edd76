"""What is the OpenAI API's own in its adapter, against a real server. What every provider's adapter does is in
`test_remote_language_models.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel
from parley_inference.domain.errors import (
    InferenceError,
    ProviderRejectedError,
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
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role, Sampling
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

Connect = Callable[..., OpenAICompatibleModel]
KEY = "sk-test-0123456789"
ASKED = GenerationRequest((PromptMessage(Role.USER, "Go on."),), "fake-model")


async def events_of(
    model: OpenAICompatibleModel, request: GenerationRequest = ASKED
) -> tuple[list[Any], Exception | None]:
    """All events, and the error that ended them."""
    events: list[Any] = []
    try:
        async with aclosing(model.generate(request)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before an error is looked at
    except InferenceError as error:
        return events, error
    return events, None


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_arrives_whole_with_the_providers_usage(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(
        pieces=numbered_words(500), reasoning=("hm ", "well"), cached_input_tokens=3, reasoning_tokens=2
    )
    events, error = await events_of(connect())
    assert error is None
    assert events[0] == GenerationStarted("fake-model", "fake")
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "hm well"
    assert text_of(events) == "".join(numbered_words(500))
    assert events[-2:] == [TokenUsage(7, 502, 3, 2), GenerationFinished(FinishReason.STOP)]


async def test_the_request_carries_the_key_and_what_was_asked(upstream: FakeOpenAI, connect: Connect) -> None:
    await events_of(connect())
    request = upstream.requests[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "fake-model"
    assert request.body["stream"] is True


async def test_a_server_that_needs_no_key_gets_none(upstream: FakeOpenAI, connect: Connect) -> None:
    await events_of(connect(key=""))
    assert "authorization" not in upstream.requests[0].headers


async def test_characters_that_are_cut_in_two_arrive_whole(upstream: FakeOpenAI, connect: Connect) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "é€😀"}, "finish_reason": "stop"}]}
    body = f"data: {json.dumps(chunk, ensure_ascii=False)}\n\ndata: [DONE]\n\n".encode()
    upstream.reply = Reply(body=[body[at : at + 1] for at in range(len(body))])
    events, error = await events_of(connect())
    assert error is None
    assert text_of(events) == "é€😀"


async def test_garbage_after_good_text_is_an_error_after_the_text(upstream: FakeOpenAI, connect: Connect) -> None:
    good = b'data: {"choices": [{"delta": {"content": "good"}}]}\n\n'
    upstream.reply = Reply(body=[good + b"data: {oops\n\n"])
    events, error = await events_of(connect())
    assert text_of(events) == "good"
    assert type(error) is ProviderUnavailableError


async def test_usage_that_came_before_an_error_is_told(upstream: FakeOpenAI, connect: Connect) -> None:
    good = b'data: {"choices": [{"delta": {"content": "good"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}\n\n'
    upstream.reply = Reply(body=[good + b'data: {"error": {"message": "boom"}}\n\n'])
    events, error = await events_of(connect())
    assert events[-1] == TokenUsage(5, 1)
    assert error is not None


async def test_a_form_that_a_server_refuses_is_changed_once_and_remembered(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    model = connect()
    request = GenerationRequest(ASKED.messages, "fake-model", sampling=Sampling(max_output_tokens=5))
    refusal = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    upstream.enqueue(Reply(status=400, error={"message": refusal}))
    for _ in range(2):
        events, error = await events_of(model, request)
        assert error is None
        assert sum(isinstance(event, GenerationStarted) for event in events) == 1
    assert [sorted({"max_tokens", "max_completion_tokens"} & set(one.body)) for one in upstream.requests] == [
        ["max_tokens"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
    ]


async def test_a_server_that_refuses_every_form_is_not_asked_for_ever(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(status=400, error={"message": "neither max_tokens nor max_completion_tokens"})
    _, error = await events_of(connect())
    assert isinstance(error, ProviderRejectedError)
    assert len(upstream.requests) == 3
