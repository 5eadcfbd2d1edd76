"""StreamGenerate: through a real channel, from a real upstream."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from parley.inference.v1 import generation_pb2
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply, numbered_words


def kinds(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("event") for response in responses]


def text_of(responses: list[Any]) -> str:
    return "".join(response.text_delta for response in responses)


async def test_an_answer_streams_from_started_to_finished(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=numbered_words(50), reasoning=("hm",), tokens_per_second=500)
    responses, failure = await online.stream(ask())
    assert failure is None
    assert responses[0].started.model == "fake-model"
    assert responses[0].started.provider == "openai"
    assert not responses[0].started.offline
    assert kinds(responses)[:2] == ["started", "reasoning_delta"]
    assert kinds(responses)[-2:] == ["usage", "finished"]
    assert text_of(responses) == "".join(numbered_words(50))
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_STOP
    assert responses[-2].usage == generation_pb2.TokenUsage(input_tokens=7, output_tokens=51)


async def test_the_first_text_arrives_while_the_rest_is_still_to_come(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(stall_after=1)
    call = online.generations.StreamGenerate(ask(), metadata=online.metadata())
    assert (await call.read()).WhichOneof("event") == "started"
    assert (await call.read()).text_delta == "word1 "
    call.cancel()


async def test_piled_up_text_is_merged_and_nothing_is_lost(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=numbered_words(20_000))
    responses, failure = await online.stream(ask())
    assert failure is None
    assert text_of(responses) == "".join(numbered_words(20_000))
    assert len(responses) < 2_000


async def test_answers_that_are_read_together_are_all_whole(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    # More than the reading beat calls a few, and slow enough that their tokens come one by one.
    upstream.reply = Reply(pieces=numbered_words(40), tokens_per_second=200)
    answers = await asyncio.gather(*(online.stream(ask()) for _ in range(12)))
    for responses, failure in answers:
        assert failure is None
        assert text_of(responses) == "".join(numbered_words(40))
        assert kinds(responses)[-2:] == ["usage", "finished"]


async def test_a_reader_that_does_not_read_holds_the_provider_back(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("x" * 1000,) * 50_000)
    call = online.generations.StreamGenerate(ask(), metadata=online.metadata())
    await call.read()
    sent = -1
    while sent != upstream.deltas_sent:
        sent = upstream.deltas_sent
        await asyncio.sleep(0.3)
    assert sent < 25_000
    call.cancel()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")


async def test_cancelling_the_call_closes_the_providers_connection(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(tokens_per_second=20)
    call = online.generations.StreamGenerate(ask(), metadata=online.metadata())
    while not (await call.read()).text_delta:
        pass
    assert upstream.connections_open == 1
    call.cancel()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")
    assert upstream.streams_cut == 1
    assert upstream.deltas_sent < 15


async def test_cancelling_before_the_first_token_closes_it_too(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(headers_seconds=20)
    call = online.generations.StreamGenerate(ask(), metadata=online.metadata())
    await upstream.wait_for(lambda: len(upstream.requests) == 1, "the request")
    call.cancel()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")


async def test_a_deadline_of_the_caller_closes_it_too(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(tokens_per_second=20)
    call = online.generations.StreamGenerate(ask(), metadata=online.metadata(), timeout=0.5)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in call:
            pass
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")


async def test_tool_calls_come_whole(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("Wait. ",), tool_calls=(FakeToolCall("clock", '{"zone": "Europe/Berlin"}'),))
    tool = generation_pb2.Tool(name="clock", description="Tells the time.")
    tool.parameters_schema.update({"type": "object", "properties": {"hours": {"type": "integer", "minimum": 1}}})
    responses, _ = await online.stream(ask(tools=[tool]))
    assert kinds(responses) == ["started", "text_delta", "tool_call", "usage", "finished"]
    assert responses[2].tool_call.arguments_json == '{"zone": "Europe/Berlin"}'
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_TOOL_CALLS
    sent = upstream.requests[0].body["tools"][0]["function"]["parameters"]
    assert sent == {"type": "object", "properties": {"hours": {"type": "integer", "minimum": 1}}}
    # A whole number of the contract's floating point kind is a whole number for the provider.
    assert isinstance(sent["properties"]["hours"]["minimum"], int)


async def test_sampling_arrives_as_it_was_written(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    sampling = generation_pb2.Sampling(
        temperature=0.7, top_p=0.95, max_output_tokens=9, seed=2**60, stop_sequences=["END"]
    )
    await online.stream(ask(sampling=sampling))
    body = upstream.requests[0].body
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["seed"], body["stop"]) == (
        0.7,
        0.95,
        9,
        2**60,
        ["END"],
    )


async def test_usage_is_estimated_when_the_provider_gives_none(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("x" * 40,), sends_usage=False)
    responses, _ = await online.stream(ask("y" * 80))
    usage = responses[-2].usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (20, 10, True)


async def test_an_error_in_the_middle_comes_after_the_usage(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(break_off_after=4, tokens_per_second=200)
    responses, failure = await online.stream(ask())
    assert text_of(responses) == "word1 word2 word3 word4 "
    assert kinds(responses)[-1] == "usage"
    assert responses[-1].usage.estimated
    assert responses[-1].usage.output_tokens == 6
    assert failure.code == grpc.StatusCode.UNAVAILABLE
    assert failure.reason == "PROVIDER_UNAVAILABLE"
    assert failure.metadata["provider"] == "openai"
    assert failure.retry_after_seconds


@pytest.mark.parametrize(
    ("reply", "code", "reason"),
    [
        (
            Reply(status=401, error={"message": "Incorrect API key: sk-te***"}),
            grpc.StatusCode.FAILED_PRECONDITION,
            "PROVIDER_CREDENTIALS",
        ),
        (Reply(status=404), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        (Reply(status=400, error={"message": "too long"}), grpc.StatusCode.INVALID_ARGUMENT, "PROVIDER_REJECTED"),
        (Reply(status=429, headers={"retry-after": "3"}), grpc.StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_RATE_LIMITED"),
        (Reply(status=500, error={"message": "stack trace"}), grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE"),
        (Reply(headers_seconds=20), grpc.StatusCode.UNAVAILABLE, "PROVIDER_STALLED"),
    ],
)
async def test_a_provider_that_refuses_or_stalls_has_its_reason_and_used_nothing(
    online: Any, upstream: FakeOpenAI, ask: Any, reply: Reply, code: grpc.StatusCode, reason: str
) -> None:
    upstream.reply = reply
    responses, failure = await online.stream(ask())
    assert responses == []
    assert (failure.code, failure.reason) == (code, reason)
    assert "sk-te" not in failure.message
    assert "stack" not in failure.message
    if reason == "PROVIDER_RATE_LIMITED":
        assert failure.retry_after_seconds == 3
    if reason == "PROVIDER_REJECTED":
        assert "too long" in failure.message


@pytest.mark.parametrize("status", [429, 503])
async def test_a_provider_that_asks_for_more_patience_than_we_have_fails_at_once_with_its_time(
    online: Any, upstream: FakeOpenAI, ask: Any, status: int
) -> None:
    upstream.reply = Reply(status=status, headers={"retry-after": "45"})
    _, failure = await online.stream(ask())
    assert failure.retry_after_seconds == 45
    assert len(upstream.requests) == 1


async def test_a_stall_in_the_middle_ends_with_usage_and_its_reason(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(stall_after=2)
    responses, failure = await online.stream(ask())
    assert kinds(responses)[-1] == "usage"
    assert failure.reason == "PROVIDER_STALLED"


@pytest.mark.parametrize("name", ["other", "ollama/fake-model", "embed-model"])
async def test_a_model_that_cannot_be_meant_is_refused_before_the_provider_hears_of_it(
    online: Any, upstream: FakeOpenAI, ask: Any, name: str
) -> None:
    responses, failure = await online.stream(ask(model=name))
    assert responses == []
    assert failure.reason == ("MODEL_NOT_CAPABLE" if name == "embed-model" else "MODEL_NOT_FOUND")
    assert failure.metadata["model"] == name
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["", "fake-model", "openai/fake-model", "fast", "strong"])
async def test_every_name_of_the_default_model_reaches_it(
    online: Any, upstream: FakeOpenAI, ask: Any, name: str
) -> None:
    responses, _ = await online.stream(ask(model=name))
    assert responses[0].started.model == "fake-model"
    assert upstream.requests[0].body["model"] == "fake-model"


async def test_without_a_provider_the_built_in_model_answers_and_says_so(offline: Any, ask: Any) -> None:
    passage = generation_pb2.Passage(number=1, title="Manual", text="Turn the key to start the engine.")
    responses, failure = await offline.stream(ask("How do I start the engine?", passages=[passage]))
    assert failure is None
    assert responses[0].started.offline
    assert (responses[0].started.provider, responses[0].started.model) == ("offline", "offline")
    assert "Turn the key to start the engine [1]." in text_of(responses)
    assert "OPENAI_API_KEY" in text_of(responses)
    assert responses[-2].usage.estimated
    assert responses[-2].usage.output_tokens > 10


async def test_the_built_in_model_can_be_slowed_down(serve: Any, ask: Any) -> None:
    async with serve(PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND="20") as service:
        call = service.generations.StreamGenerate(ask("Hello"), metadata=service.metadata())
        await call.read()
        loop = asyncio.get_running_loop()
        started = loop.time()
        words = 0
        while words < 11:
            words += bool((await call.read()).text_delta)
        assert loop.time() - started > 0.4
        call.cancel()


async def test_two_providers_at_once_are_told_apart_by_name(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    async with (
        FakeOpenAI(models=("small",)) as other,
        serve(
            OPENAI_BASE_URL=upstream.base_url,
            PARLEY_INFERENCE_MODEL="openai/fake-model",
            OLLAMA_HOST=other.base_url,
            PARLEY_INFERENCE_FAST_MODEL="ollama/small",
        ) as service,
    ):
        for name, provider in (("", "openai"), ("fast", "ollama"), ("ollama/small", "ollama"), ("small", "ollama")):
            responses, failure = await service.stream(ask(model=name))
            assert failure is None
            assert responses[0].started.provider == provider
        assert len(upstream.requests) == 1
        assert {request.body["model"] for request in other.requests} == {"small"}
