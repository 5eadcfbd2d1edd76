"""The most characters that an answer may have: who never stops is stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from parley.inference.v1 import generation_pb2, inference_service_pb2
from parley_testing.fake_openai import FakeOpenAI, Reply

MOST = 1_000
PIECE = "0123456789"
ENDLESS = (PIECE,) * 500_000
"""Five million characters: more than any buffer between here and there holds."""


@pytest.fixture
async def second() -> AsyncIterator[FakeOpenAI]:
    """The provider that goes on."""
    async with FakeOpenAI(Reply(pieces=ENDLESS), models=("small",)) as running:
        yield running


@pytest.fixture
async def limited(serve: Any, upstream: FakeOpenAI, second: FakeOpenAI) -> AsyncIterator[Any]:
    """A service whose answers have 1,000 characters at most, with a model to fall back to."""
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        OLLAMA_HOST=second.base_url,
        PARLEY_INFERENCE_MODEL="openai/fake-model",
        PARLEY_INFERENCE_FALLBACK_MODELS="ollama/small",
        PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS=str(MOST),
    ) as service:
        yield service


def text_of(responses: list[Any]) -> str:
    return "".join(one.text_delta for one in responses)


def reasoning_of(responses: list[Any]) -> str:
    return "".join(one.reasoning_delta for one in responses)


def is_cut(responses: list[Any]) -> bool:
    """Whether the answer ended with its limit, its usage told before."""
    assert responses[-2].HasField("usage")
    assert sum(one.HasField("finished") for one in responses) == 1
    return bool(responses[-1].finished.reason == generation_pb2.FINISH_REASON_LENGTH)


async def test_an_answer_without_end_is_ended_and_the_connection_closed(
    limited: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=ENDLESS)
    responses, failure = await limited.stream(ask())
    assert failure is None
    assert text_of(responses) == PIECE * (MOST // len(PIECE))
    assert is_cut(responses)
    assert responses[-2].usage.estimated
    assert responses[-2].usage.output_tokens >= MOST // 4
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")
    assert upstream.streams_cut == 1
    assert upstream.deltas_sent < len(ENDLESS)
    assert second.requests == []


async def test_reasoning_without_end_is_ended_too(limited: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(reasoning=ENDLESS)
    responses, _ = await limited.stream(ask())
    assert len(reasoning_of(responses)) == MOST
    assert text_of(responses) == ""
    assert is_cut(responses)


async def test_an_answer_that_just_has_room_is_whole(limited: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=(PIECE,) * (MOST // len(PIECE)))
    responses, _ = await limited.stream(ask())
    assert len(text_of(responses)) == MOST
    assert not is_cut(responses)
    assert not responses[-2].usage.estimated


async def test_what_the_answer_had_before_counts(limited: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("a",) * 50_000)
    responses, _ = await limited.stream(ask(answer_so_far="b" * 995))
    assert text_of(responses) == "a" * 5
    assert is_cut(responses)
    responses, _ = await limited.stream(ask(answer_so_far="b" * 2_000))
    assert text_of(responses) == ""
    assert is_cut(responses)


async def test_all_models_of_an_answer_share_its_room(
    limited: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=("a" * 100,) * 20, break_off_after=6, tokens_per_second=400)
    responses, _ = await limited.stream(ask())
    assert text_of(responses) == "a" * 600 + PIECE * 40
    assert is_cut(responses)
    await second.wait_for(lambda: second.connections_open == 0, "the connection to close")


async def test_a_whole_answer_is_cut_at_the_same_place(limited: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=ENDLESS)
    request = inference_service_pb2.GenerateRequest(messages=ask().messages)
    response = await limited.generations.Generate(request, metadata=limited.metadata())
    assert len(response.text) == MOST
    assert response.finish_reason == generation_pb2.FINISH_REASON_LENGTH
