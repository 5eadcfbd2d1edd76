"""What each model did for a generation: tokens, money, time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from parley.inference.v1 import generation_pb2, inference_service_pb2
from parley_testing.fake_anthropic import FakeAnthropic
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

WORDS = numbered_words(60)
PRICES = """
["fake-model"]
input = 3
output = 15
cached_input = 0.3
cache_write_input = 3.75

["small"]
input = 0.25
output = 2
"""


@pytest.fixture
def prices(tmp_path: Path) -> str:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES, encoding="utf-8")
    return str(file)


def failing_after(pieces: Sequence[str]) -> Reply:
    """A reply that says after its last piece that something went wrong. A cut connection may lose what was not read yet."""
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    error = {"error": {"type": "server_error"}}
    return Reply(body=[b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in [*events, error])])


def attempts_of(responses: list[Any]) -> list[Any]:
    return list(responses[-1].finished.attempts)


def bills(responses: list[Any]) -> list[Any]:
    return [one.usage for one in responses if one.WhichOneof("event") == "usage"]


async def test_one_model_is_one_attempt_with_its_tokens_money_and_time(
    serve: Any, upstream: FakeOpenAI, ask: Any, prices: str
) -> None:
    upstream.reply = Reply(
        pieces=WORDS,
        input_tokens=1_001,
        cached_input_tokens=1_000,
        reasoning_tokens=5,
        first_token_seconds=0.05,
        tokens_per_second=600,
    )
    async with serve(
        OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_MODEL="fake-model", PARLEY_INFERENCE_PRICES_FILE=prices
    ) as service:
        responses, _ = await service.stream(ask())
    (attempt,) = attempts_of(responses)
    assert (attempt.model, attempt.provider, attempt.reason) == ("fake-model", "openai", "")
    assert attempt.usage == generation_pb2.TokenUsage(
        input_tokens=1_001, output_tokens=60, cached_input_tokens=1_000, reasoning_tokens=5
    )
    assert attempt.usage == bills(responses)[-1]
    # 1 at 3, 1,000 at 0.3 and 60 at 15 dollars for a million: 3 + 300 + 900 millionths.
    assert attempt.cost_usd_micros == 1_203
    # Clocks are not exact to the millisecond, and machines are slow: it is not less than what was waited for.
    assert 45 <= attempt.time_to_first_token_ms <= attempt.duration_ms
    assert attempt.output_tokens_per_second > 0


async def test_what_anthropic_puts_into_its_cache_is_counted_and_paid_at_its_price(
    serve: Any, ask: Any, prices: str
) -> None:
    reply = Reply(pieces=WORDS, input_tokens=10, cached_input_tokens=100, reasoning_tokens=7, reasoning=("hm",))
    async with FakeAnthropic(reply, models=("fake-model",)) as fake:
        fake.cache_creation_tokens = 1_000
        async with serve(
            ANTHROPIC_BASE_URL=fake.base_url,
            ANTHROPIC_API_KEY="sk-test-0123456789",
            PARLEY_INFERENCE_MODEL="fake-model",
            PARLEY_INFERENCE_PRICES_FILE=prices,
        ) as service:
            request = inference_service_pb2.GenerateRequest(messages=ask().messages)
            response = await service.generations.Generate(request, metadata=service.metadata())
    assert response.usage == generation_pb2.TokenUsage(
        input_tokens=1_110,
        output_tokens=61,
        cached_input_tokens=100,
        cache_write_input_tokens=1_000,
        reasoning_tokens=7,
    )
    (attempt,) = response.attempts
    # 10 at 3, 100 at 0.3, 1,000 at 3.75, 61 at 15: 30 + 30 + 3,750 + 915.
    assert attempt.cost_usd_micros == 4_725


async def test_a_model_that_failed_is_an_attempt_too_with_why_and_what_it_took(
    serve: Any, upstream: FakeOpenAI, ask: Any, prices: str
) -> None:
    upstream.reply = failing_after(WORDS[:20])
    async with (
        FakeOpenAI(Reply(pieces=WORDS), models=("small",)) as second,
        serve(
            OPENAI_BASE_URL=upstream.base_url,
            OLLAMA_HOST=second.base_url,
            PARLEY_INFERENCE_MODEL="openai/fake-model",
            PARLEY_INFERENCE_FALLBACK_MODELS="ollama/small",
            PARLEY_INFERENCE_PRICES_FILE=prices,
        ) as service,
    ):
        responses, _ = await service.stream(ask("x" * 400))
    first, last = attempts_of(responses)
    assert [first.reason, last.reason] == ["ERROR_REASON_PROVIDER_UNAVAILABLE", ""]
    assert first.usage.estimated
    assert first.usage.input_tokens == 100
    before = len("".join(WORDS[:20]))
    assert first.usage.output_tokens == -(-before // 4)
    assert first.cost_usd_micros == 300 + 15 * first.usage.output_tokens
    assert first.time_to_first_token_ms > 0
    assert (last.usage.input_tokens, last.usage.output_tokens, last.usage.estimated) == (7, 60, False)
    # 7 at 0.25 and 60 at 2 dollars for a million are 121.75 millionths.
    assert last.cost_usd_micros == 122
    total = bills(responses)[-1]
    assert total.input_tokens == 107
    assert total.output_tokens == first.usage.output_tokens + 60


async def test_a_model_that_never_began_took_nothing_and_no_time_to_its_first_token(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(status=503, headers={"retry-after": "60"})
    async with (
        FakeOpenAI(Reply(pieces=WORDS), models=("small",)) as second,
        serve(
            OPENAI_BASE_URL=upstream.base_url,
            OLLAMA_HOST=second.base_url,
            PARLEY_INFERENCE_MODEL="openai/fake-model",
            PARLEY_INFERENCE_FALLBACK_MODELS="ollama/small",
        ) as service,
    ):
        responses, _ = await service.stream(ask())
    first, last = attempts_of(responses)
    assert first.usage == generation_pb2.TokenUsage()
    assert (first.time_to_first_token_ms, first.output_tokens_per_second) == (0, 0)
    assert first.duration_ms > 0
    # Nobody said a price.
    assert not first.HasField("cost_usd_micros")
    assert not last.HasField("cost_usd_micros")


async def test_tokens_are_estimated_and_marked_where_the_provider_counts_none(either: Any, ask: Any) -> None:
    either.fake.reply = Reply(pieces=WORDS, reasoning=("r" * 40,), sends_usage=False)
    tools = [generation_pb2.Tool(name="clock", description="d" * 31)]
    responses, _ = await either.service.stream(ask("x" * 400, tools=tools))
    written = len("".join(WORDS)) + 40
    expected = generation_pb2.TokenUsage(
        # The tool's schema counts as it is written: `{}`.
        input_tokens=-(-(400 + len("clock") + 31 + 2) // 4),
        output_tokens=-(-written // 4),
        estimated=True,
    )
    assert bills(responses)[-1] == expected
    assert attempts_of(responses)[0].usage == expected


async def test_an_answer_that_is_cut_at_its_most_characters_tells_what_it_took(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=WORDS, tokens_per_second=2_000)
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS="100",
    ) as service:
        responses, _ = await service.stream(ask())
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_LENGTH
    (attempt,) = attempts_of(responses)
    assert attempt.usage.estimated
    assert attempt.usage.output_tokens >= 25
    assert attempt.reason == ""
