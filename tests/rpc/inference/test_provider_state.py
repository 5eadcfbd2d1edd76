"""How providers do, and how many calls they may have: told by ListProviders and ListModels, kept by every call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from parley.inference.v1 import embedding_service_pb2, inference_service_pb2, model_service_pb2
from parley_testing.fake_openai import FakeOpenAI, Reply

UNKNOWN = model_service_pb2.PROVIDER_STATE_UNSPECIFIED
HEALTHY = model_service_pb2.PROVIDER_STATE_HEALTHY
FAILING = model_service_pb2.PROVIDER_STATE_FAILING
OPEN = model_service_pb2.PROVIDER_STATE_OPEN


async def providers_of(service: Any) -> list[Any]:
    response = await service.models.ListProviders(model_service_pb2.ListProvidersRequest(), metadata=service.metadata())
    return list(response.providers)


async def models_of(service: Any) -> list[Any]:
    response = await service.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=service.metadata())
    return list(response.models)


async def wait_for_provider(service: Any, **expected: int) -> None:
    """Waits until the only provider says so."""
    async with asyncio.timeout(30):
        while True:
            (provider,) = await providers_of(service)
            if all(getattr(provider, name) == value for name, value in expected.items()):
                return
            await asyncio.sleep(0.01)


async def test_a_provider_is_unknown_until_it_was_called_and_then_says_how_that_went(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    (provider,) = await providers_of(online)
    assert (provider.provider, provider.kind, provider.state) == ("openai", "openai", UNKNOWN)
    assert not provider.HasField("state_change_time")
    assert provider.max_running_calls == 0
    before = time.time()
    assert (await online.stream(ask()))[1] is None
    (provider,) = await providers_of(online)
    assert (provider.state, provider.last_failure_reason) == (HEALTHY, "")
    assert before - 5 <= provider.state_change_time.ToSeconds() <= time.time() + 5
    upstream.reply = Reply(status=401, error={"message": "Incorrect API key provided: sk-test-0123456789."})
    _, failure = await online.stream(ask())
    assert failure is not None
    assert failure.reason == "PROVIDER_CREDENTIALS"
    (provider,) = await providers_of(online)
    assert (provider.state, provider.last_failure_reason) == (FAILING, "ERROR_REASON_PROVIDER_CREDENTIALS")
    assert {model.provider_state for model in await models_of(online)} == {FAILING}


async def test_a_provider_whose_circuit_is_open_says_so(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(break_off_after=1)
    async with asyncio.timeout(60):
        # On a machine that stands still for longer than the first pause, a later and longer one is seen.
        while True:
            await online.stream(ask())
            (provider,) = await providers_of(online)
            if provider.state == OPEN:
                break
            assert provider.state == FAILING
    assert provider.last_failure_reason == "ERROR_REASON_PROVIDER_UNAVAILABLE"


async def test_the_embedding_calls_tell_of_the_provider_too(online: Any) -> None:
    await online.embeddings.Embed(embedding_service_pb2.EmbedRequest(texts=["a"]), metadata=online.metadata())
    (provider,) = await providers_of(online)
    assert provider.state == HEALTHY


async def test_the_built_in_model_is_a_provider_of_its_own_kind(offline: Any) -> None:
    (provider,) = await providers_of(offline)
    assert (provider.provider, provider.kind, provider.state) == ("offline", "offline", HEALTHY)


async def test_providers_are_for_those_who_may_use_models(online: Any) -> None:
    request = model_service_pb2.ListProvidersRequest()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await online.models.ListProviders(request, metadata=online.metadata("chat:write"))
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_what_is_known_of_a_model_is_listed(serve: Any, upstream: FakeOpenAI) -> None:
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="gpt-4o",
        PARLEY_INFERENCE_MODELS="plain",
        PARLEY_INFERENCE_FALLBACK_MODELS="plain",
    ) as service:
        first, second = await models_of(service)
    assert first.context_window_tokens == 128_000
    assert list(first.capabilities) == [
        model_service_pb2.MODEL_CAPABILITY_GENERATE,
        model_service_pb2.MODEL_CAPABILITY_TOOLS,
        model_service_pb2.MODEL_CAPABILITY_IMAGES,
        model_service_pb2.MODEL_CAPABILITY_STRUCTURED_OUTPUT,
    ]
    assert list(first.fallbacks) == ["plain"]
    assert (second.model, list(second.fallbacks), second.context_window_tokens) == ("plain", [], 0)


async def test_a_prompt_over_the_window_is_refused_with_both_figures_and_nobody_is_asked(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    async with serve(OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_MODEL="gpt-4o") as service:
        _, failure = await service.stream(ask("x" * 700_000))
    assert failure is not None
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PROMPT_TOO_LONG")
    assert (failure.metadata["tokens"], failure.metadata["limit"]) == ("175000", "128000")
    assert "175000" in failure.message
    assert upstream.requests == []


async def test_an_unknown_model_is_told_with_the_nearest_names(online: Any, ask: Any) -> None:
    _, failure = await online.stream(ask(model="fake-mode"))
    assert failure is not None
    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert failure.metadata["nearest"].split(",")[0] == "fake-model"
    assert "fake-model" in failure.message
    _, failure = await online.stream(ask(model="xyz"))
    assert failure is not None
    assert "nearest" not in failure.metadata


async def test_calls_beyond_the_limit_wait_and_those_beyond_the_queue_are_sent_away(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=("a", "b"), waits_after=1)
    upstream.go_on.clear()
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_MAX_RUNNING_CALLS="2",
        PARLEY_INFERENCE_MAX_WAITING_CALLS="2",
    ) as service:
        calls = []
        for running, waiting in ((1, 0), (2, 0), (2, 1), (2, 2)):
            calls.append(asyncio.create_task(service.stream(ask())))
            await wait_for_provider(service, running_calls=running, waiting_calls=waiting, max_running_calls=2)
        _, failure = await service.stream(ask())
        assert failure is not None
        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_QUEUE_FULL")
        assert failure.metadata["provider"] == "openai"
        assert failure.retry_after_seconds
        assert upstream.streams_open == 2
        # Whoever leaves while waiting leaves at once, and its place is free.
        calls[3].cancel()
        await wait_for_provider(service, running_calls=2, waiting_calls=1)
        upstream.go_on.set()
        for responses, error in await asyncio.gather(*calls[:3]):
            assert error is None
            assert "".join(response.text_delta for response in responses) == "ab"
        await wait_for_provider(service, running_calls=0, waiting_calls=0)
    assert len(upstream.requests) == 3


async def test_embeddings_wait_for_their_turn_among_the_others(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("a", "b"), waits_after=1)
    upstream.go_on.clear()
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_EMBEDDING_MODEL="embed-model",
        PARLEY_INFERENCE_MAX_RUNNING_CALLS="1",
        PARLEY_INFERENCE_MAX_WAITING_CALLS="0",
    ) as service:
        call = asyncio.create_task(service.stream(ask()))
        await wait_for_provider(service, running_calls=1)
        failure = await service.failure(service.embeddings.Embed, embedding_service_pb2.EmbedRequest(texts=["a"]))
        assert failure.reason == "PROVIDER_QUEUE_FULL"
        upstream.go_on.set()
        assert (await call)[1] is None
        await service.embeddings.Embed(embedding_service_pb2.EmbedRequest(texts=["a"]), metadata=service.metadata())


async def test_a_full_provider_is_passed_over_for_the_next_of_the_chain(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=("a", "b"), waits_after=1)
    upstream.go_on.clear()
    async with (
        FakeOpenAI(Reply(pieces=("other",)), models=("other-model",)) as other,
        serve(
            OPENAI_BASE_URL=upstream.base_url,
            OLLAMA_HOST=other.base_url,
            PARLEY_INFERENCE_MODEL="openai/fake-model",
            PARLEY_INFERENCE_MODELS="ollama/other-model",
            PARLEY_INFERENCE_FALLBACK_MODELS="ollama/other-model",
            PARLEY_INFERENCE_MAX_RUNNING_CALLS="1",
            PARLEY_INFERENCE_MAX_WAITING_CALLS="0",
        ) as service,
    ):
        call = asyncio.create_task(service.stream(ask()))
        await upstream.wait_for(lambda: upstream.streams_open == 1, "the stream")
        responses, failure = await service.stream(ask())
        assert failure is None
        switched = [one.provider_switched for one in responses if one.HasField("provider_switched")]
        assert [(one.to_provider, one.reason) for one in switched] == [("ollama", "ERROR_REASON_PROVIDER_QUEUE_FULL")]
        upstream.go_on.set()
        assert (await call)[1] is None


async def test_a_whole_answer_has_its_turn_too(online: Any, ask: Any) -> None:
    request = inference_service_pb2.GenerateRequest(messages=ask().messages)
    await online.generations.Generate(request, metadata=online.metadata())
    (provider,) = await providers_of(online)
    assert (provider.state, provider.running_calls) == (HEALTHY, 0)
