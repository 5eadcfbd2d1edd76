"""Answers that are kept for callers who want the same request answered again without a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from parley.inference.v1 import generation_pb2, inference_service_pb2
from parley_shared.channels import bearer
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply, numbered_words

WORDS = numbered_words(3_000)
WHOLE = "".join(WORDS)
PRICES = '["fake-model"]\ninput = 1\noutput = 2\n'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def text_of(responses: list[Any]) -> str:
    return "".join(response.text_delta for response in responses)


def is_cached(responses: list[Any]) -> bool:
    return bool(responses[0].started.cached)


async def test_the_same_request_is_answered_again_without_a_model(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=WORDS, reasoning=("hm",))
    first, _ = await online.stream(ask(cache_seconds=60))
    again, failure = await online.stream(ask(cache_seconds=60))
    assert failure is None
    assert (is_cached(first), is_cached(again)) == (False, True)
    assert text_of(again) == WHOLE
    assert "".join(one.reasoning_delta for one in again) == "hm"
    assert len(upstream.requests) == 1
    # It comes as a stream does: in pieces, and with all that a stream tells.
    kinds = [one.WhichOneof("event") for one in again]
    assert kinds[:2] == ["started", "reasoning_delta"]
    assert kinds.count("text_delta") > 2
    assert kinds[-2:] == ["usage", "finished"]
    assert again[-2].usage == generation_pb2.TokenUsage()
    assert again[-1].finished.reason == generation_pb2.FINISH_REASON_STOP
    assert list(again[-1].finished.attempts) == []
    assert again[0].started.model == first[0].started.model


async def test_whoever_wants_it_whole_gets_what_a_stream_kept(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=WORDS)
    await online.stream(ask(cache_seconds=60))
    request = inference_service_pb2.GenerateRequest(messages=ask().messages, cache_seconds=5)
    response = await online.generations.Generate(request, metadata=online.metadata())
    assert (response.text, response.cached, list(response.attempts)) == (WHOLE, True, [])
    assert response.usage == generation_pb2.TokenUsage()
    assert len(upstream.requests) == 1


async def test_a_kept_answer_tells_its_price_so_that_it_is_known_to_cost_nothing(
    serve: Any, upstream: FakeOpenAI, ask: Any, tmp_path: Any
) -> None:
    (tmp_path / "prices.toml").write_text(PRICES, encoding="utf-8")
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_PRICES_FILE=str(tmp_path / "prices.toml"),
    ) as service:
        for _ in range(2):
            responses, _ = await service.stream(ask(cache_seconds=60))
    assert is_cached(responses)
    assert responses[0].started.price.output_usd_micros == 2_000_000


async def test_nothing_is_kept_or_given_without_being_asked_for(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    await online.stream(ask())
    assert not is_cached((await online.stream(ask(cache_seconds=60)))[0])
    assert not is_cached((await online.stream(ask()))[0])
    assert len(upstream.requests) == 3


def struct(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())


@pytest.mark.parametrize(
    "change",
    [
        lambda request: request.messages[0].MergeFrom(generation_pb2.PromptMessage(text="Stop.")),
        lambda request: request.messages[0].images.add(media_type="image/png", data=PNG),
        lambda request: request.messages.insert(
            0, generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_SYSTEM, text="Be short.")
        ),
        lambda request: request.MergeFrom(inference_service_pb2.StreamGenerateRequest(model="other-model")),
        lambda request: request.passages.add(number=1, text="Words."),
        lambda request: request.tools.add(name="clock"),
        lambda request: request.sampling.MergeFrom(generation_pb2.Sampling(temperature=0.5)),
        lambda request: request.sampling.MergeFrom(generation_pb2.Sampling(seed=0)),
        lambda request: request.sampling.stop_sequences.append("x"),
        lambda request: request.response_schema.CopyFrom(struct({})),
        lambda request: request.MergeFrom(inference_service_pb2.StreamGenerateRequest(agent_id="summarizer")),
    ],
)
async def test_another_request_is_another_answer(
    serve: Any, upstream: FakeOpenAI, ask: Any, change: Callable[[Any], Any]
) -> None:
    upstream.reply = Reply(pieces=('"a"',))
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_MODELS="other-model",
    ) as service:
        await service.stream(ask(cache_seconds=60))
        other = ask(cache_seconds=60)
        change(other)
        responses, failure = await service.stream(other)
        assert failure is None
        assert not is_cached(responses)
        # And both are kept.
        for request in (ask(cache_seconds=60), other):
            assert is_cached((await service.stream(request))[0])


async def test_an_alias_and_its_model_are_the_same_request(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_FAST_MODEL="fake-model",
    ) as service:
        for model in ("fast", "openai/fake-model", ""):
            responses, _ = await service.stream(ask(model=model, cache_seconds=60))
    assert is_cached(responses)
    assert len(upstream.requests) == 1


async def test_what_was_kept_for_one_user_is_given_to_no_other(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    await online.stream(ask(cache_seconds=60))
    other = bearer(online.keys.mint(f"usr_{'2' * 32}", ("inference:invoke",)))
    request = inference_service_pb2.GenerateRequest(messages=ask().messages, cache_seconds=60)
    response = await online.generations.Generate(request, metadata=other)
    assert not response.cached
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(pieces=("a",), finish_reason="length"),
        Reply(pieces=("a",), finish_reason="content_filter"),
        Reply(pieces=("a",), tool_calls=(FakeToolCall("clock"),)),
        Reply(break_off_after=3, tokens_per_second=200),
    ],
)
async def test_what_is_not_whole_is_not_kept(online: Any, upstream: FakeOpenAI, ask: Any, reply: Reply) -> None:
    upstream.reply = reply
    await online.stream(ask(cache_seconds=60))
    upstream.reply = Reply(pieces=WORDS)
    responses, _ = await online.stream(ask(cache_seconds=60))
    assert not is_cached(responses)
    assert text_of(responses) == WHOLE


async def test_the_answer_of_a_model_that_went_on_is_not_kept_as_the_others(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.enqueue(Reply(status=503, headers={"retry-after": "60"}))
    async with (
        FakeOpenAI(models=("small",)) as second,
        serve(
            OPENAI_BASE_URL=upstream.base_url,
            OLLAMA_HOST=second.base_url,
            PARLEY_INFERENCE_MODEL="openai/fake-model",
            PARLEY_INFERENCE_FALLBACK_MODELS="ollama/small",
        ) as service,
    ):
        first, _ = await service.stream(ask(cache_seconds=60))
        assert first[0].started.model == "small"
        responses, _ = await service.stream(ask(cache_seconds=60))
        assert responses[0].started.model == "fake-model"
        assert not is_cached(responses)


async def test_a_document_that_satisfied_its_schema_is_kept(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    schema = struct({"type": "integer"})
    upstream.enqueue(Reply(pieces=("one",)), Reply(pieces=("1",)))
    for _ in range(2):
        responses, _ = await online.stream(ask(cache_seconds=60, response_schema=schema))
    assert is_cached(responses)
    assert text_of(responses) == "1"
    assert len(upstream.requests) == 2


async def test_an_operator_may_keep_nothing(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    async with serve(
        OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_MODEL="fake-model", PARLEY_INFERENCE_CACHE_BYTES="0"
    ) as service:
        for _ in range(2):
            responses, _ = await service.stream(ask(cache_seconds=60))
    assert not is_cached(responses)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("seconds", [-1, 86_401])
async def test_for_how_long_has_its_bounds(online: Any, ask: Any, seconds: int) -> None:
    _, failure = await online.stream(ask(cache_seconds=seconds))
    assert failure.fields == ("cache_seconds",)
