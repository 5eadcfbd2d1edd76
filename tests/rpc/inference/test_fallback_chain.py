"""The chain of models: who goes on when a provider fails, and what the caller sees of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
from parley.inference.v1 import generation_pb2, inference_service_pb2
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

WORDS = numbered_words(60)
WHOLE = "".join(WORDS)
NO_PATIENCE = {"retry-after": "60"}
"""A refusal that is not tried again by itself, so that tests need not wait."""


def body(pieces: Sequence[str], error: dict[str, str]) -> list[bytes]:
    """A stream that says in its middle that something went wrong."""
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return [b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in [*events, {"error": error}])]


@pytest.fixture
async def second() -> AsyncIterator[FakeOpenAI]:
    """The provider that goes on."""
    async with FakeOpenAI(Reply(pieces=WORDS), models=("small",)) as running:
        yield running


@pytest.fixture
async def chained(serve: Any, upstream: FakeOpenAI, second: FakeOpenAI) -> AsyncIterator[Any]:
    """A service with two providers, of which the second goes on when the first fails."""
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        OLLAMA_HOST=second.base_url,
        PARLEY_INFERENCE_MODEL="openai/fake-model",
        PARLEY_INFERENCE_FALLBACK_MODELS="openai/fake-model, ollama/small",
        PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS="3",
        PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS="3",
    ) as service:
        yield service


def kinds(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("event") for response in responses]


def text_of(responses: list[Any]) -> str:
    return "".join(response.text_delta for response in responses)


def switches(responses: list[Any]) -> list[Any]:
    return [one.provider_switched for one in responses if one.WhichOneof("event") == "provider_switched"]


def prompts(provider: FakeOpenAI) -> list[Any]:
    """What a provider was asked to write, without the questions for its models."""
    return [request.body for request in provider.requests if request.body is not None]


def switched(reason: str) -> Any:
    return inference_service_pb2.ProviderSwitched(
        from_model="fake-model",
        from_provider="openai",
        to_model="small",
        to_provider="ollama",
        reason=f"ERROR_REASON_{reason}",
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=503, headers=NO_PATIENCE), "PROVIDER_UNAVAILABLE"),
        (Reply(status=429, headers=NO_PATIENCE), "PROVIDER_RATE_LIMITED"),
        (Reply(headers_seconds=20), "PROVIDER_STALLED"),
    ],
)
async def test_a_provider_that_does_not_begin_is_replaced_and_the_caller_is_told(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any, reply: Reply, reason: str
) -> None:
    upstream.reply = reply
    responses, failure = await chained.stream(ask())
    assert failure is None
    assert kinds(responses)[:3] == ["started", "provider_switched", "text_delta"]
    assert kinds(responses)[-2:] == ["usage", "finished"]
    assert (responses[0].started.model, responses[0].started.provider) == ("small", "ollama")
    assert switches(responses) == [switched(reason)]
    assert text_of(responses) == WHOLE
    # Who refused at the door used nothing.
    assert responses[-2].usage == generation_pb2.TokenUsage(input_tokens=7, output_tokens=60)
    assert len(upstream.requests) == 1
    assert prompts(second)[0]["messages"][-1]["role"] == "user"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400), "PROVIDER_UNAVAILABLE"),
        (Reply(pieces=WORDS, stall_after=20), "PROVIDER_STALLED"),
        # Ends its body as if all were well, and has not said that it had finished.
        (Reply(pieces=WORDS[:20], sends_finish=False, sends_done=False, sends_usage=False), "PROVIDER_UNAVAILABLE"),
        (Reply(body=body(WORDS[:20], {"type": "server_error"})), "PROVIDER_UNAVAILABLE"),
        (Reply(body=body(WORDS[:20], {"code": "rate_limit_exceeded"})), "PROVIDER_RATE_LIMITED"),
    ],
)
async def test_an_answer_cut_in_the_middle_goes_on_without_loss_or_repetition_and_both_are_on_the_bill(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any, reply: Reply, reason: str
) -> None:
    upstream.reply = reply
    responses, failure = await chained.stream(ask("y" * 400))
    assert failure is None
    assert text_of(responses) == WHOLE
    assert kinds(responses).count("started") == 1
    assert switches(responses) == [switched(reason)]
    place = kinds(responses).index("provider_switched")
    before = text_of(responses[:place])
    assert before == "".join(WORDS[:20])
    assert prompts(second)[0]["messages"][-1] == {"role": "assistant", "content": before}
    first_bill = responses[place - 1].usage
    assert first_bill == generation_pb2.TokenUsage(input_tokens=100, output_tokens=-(-len(before) // 4), estimated=True)
    assert responses[-2].usage == generation_pb2.TokenUsage(
        input_tokens=100 + 7, output_tokens=first_bill.output_tokens + 60, estimated=True
    )


async def test_the_next_model_goes_on_from_what_the_caller_had_too_and_within_its_limit(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=WORDS, break_off_after=10, tokens_per_second=400)
    so_far = "".join(WORDS[:5])
    sampling = generation_pb2.Sampling(max_output_tokens=100)
    responses, _ = await chained.stream(ask(answer_so_far=so_far, sampling=sampling))
    assert so_far + text_of(responses) == WHOLE
    body = prompts(second)[0]
    assert body["messages"][-1]["content"] == "".join(WORDS[:15])
    assert 70 <= body["max_tokens"] < 90


async def test_a_model_that_takes_no_beginning_is_asked_in_words_and_what_it_repeats_is_cut(
    serve: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any
) -> None:
    second.reply = Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400)
    upstream.reply = Reply(pieces=WORDS, repeats_beginning=True)
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        OLLAMA_HOST=second.base_url,
        PARLEY_INFERENCE_MODEL="ollama/small",
        PARLEY_INFERENCE_FALLBACK_MODELS="openai/fake-model",
    ) as service:
        responses, failure = await service.stream(ask())
    assert failure is None
    assert text_of(responses) == WHOLE
    assert [message["role"] for message in prompts(upstream)[0]["messages"]] == ["user", "assistant", "user"]
    assert prompts(upstream)[0]["messages"][1]["content"] == "".join(WORDS[:20])


async def test_the_operator_says_how_a_server_takes_the_beginning_of_an_answer(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=WORDS)
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_PREFILL="continue",
    ) as service:
        responses, _ = await service.stream(ask(answer_so_far="".join(WORDS[:20])))
    assert text_of(responses) == "".join(WORDS[20:])
    assert prompts(upstream)[0]["continue_final_message"] is True
    assert prompts(upstream)[0]["messages"][-1]["role"] == "assistant"


async def test_the_whole_answer_names_who_finished_and_sums_the_bill(
    chained: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400)
    request = inference_service_pb2.GenerateRequest(messages=ask().messages)
    response = await chained.generations.Generate(request, metadata=chained.metadata())
    assert response.text == WHOLE
    assert (response.model, response.provider) == ("small", "ollama")
    assert response.usage.estimated
    assert response.usage.output_tokens > 60


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_nobody_goes_on_after_a_refusal(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any, status: int
) -> None:
    upstream.reply = Reply(status=status)
    responses, failure = await chained.stream(ask())
    assert responses == []
    assert failure.code != grpc.StatusCode.UNAVAILABLE
    assert prompts(second) == []


async def test_when_nobody_is_left_the_error_is_that_of_the_model_that_was_asked(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(status=429, headers=NO_PATIENCE)
    second.reply = Reply(status=401)
    responses, failure = await chained.stream(ask())
    assert responses == []
    assert failure.reason == "PROVIDER_RATE_LIMITED"
    assert failure.metadata["provider"] == "openai"
    assert failure.retry_after_seconds == 60


async def test_when_the_last_breaks_off_too_its_error_ends_the_stream_after_the_whole_bill(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400)
    second.reply = Reply(pieces=WORDS, break_off_after=10, tokens_per_second=400)
    responses, failure = await chained.stream(ask())
    assert text_of(responses) == "".join(WORDS[:30])
    assert failure.metadata["provider"] == "ollama"
    bills = [one.usage for one in responses if one.WhichOneof("event") == "usage"]
    assert kinds(responses)[-1] == "usage"
    assert bills[-1].output_tokens > bills[0].output_tokens


async def test_a_provider_whose_breaker_is_open_is_passed_over_at_once(
    chained: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(status=503, headers=NO_PATIENCE)
    for _ in range(8):
        responses, failure = await chained.stream(ask())
        assert failure is None
        assert text_of(responses) == WHOLE
        assert switches(responses) == [switched("PROVIDER_UNAVAILABLE")]
    assert len(upstream.requests) == 5


async def test_a_model_that_only_a_silent_provider_could_name_is_replaced(
    serve: Any, second: FakeOpenAI, ask: Any
) -> None:
    async with serve(
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
        OLLAMA_HOST=second.base_url,
        PARLEY_INFERENCE_FALLBACK_MODELS="openai/other,ollama/small",
    ) as service:
        responses, failure = await service.stream(ask())
        assert failure is None
        assert text_of(responses) == WHOLE
        (switch,) = switches(responses)
        assert (switch.from_model, switch.from_provider, switch.to_model) == ("", "openai", "small")


async def test_a_fallback_takes_no_default_away(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    async with serve(
        OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_FALLBACK_MODELS="embed-model,later,fast"
    ) as service:
        responses, _ = await service.stream(ask())
        assert responses[0].started.model == "fake-model"


async def test_without_a_chain_a_cut_is_an_error_and_the_built_in_model_stays_silent(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(break_off_after=4, tokens_per_second=200)
    responses, failure = await online.stream(ask())
    assert failure.reason == "PROVIDER_UNAVAILABLE"
    assert switches(responses) == []
