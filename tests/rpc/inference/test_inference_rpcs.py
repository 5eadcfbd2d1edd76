"""Generate, ListModels and Embed."""

from __future__ import annotations

from typing import Any

import grpc
from parley.inference.v1 import (
    embedding_service_pb2,
    generation_pb2,
    inference_service_pb2,
    model_service_pb2,
)
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply, vector_of

GENERATE = model_service_pb2.MODEL_CAPABILITY_GENERATE
TOOLS = model_service_pb2.MODEL_CAPABILITY_TOOLS
EMBED = model_service_pb2.MODEL_CAPABILITY_EMBED


def whole(ask: Any, **fields: Any) -> inference_service_pb2.GenerateRequest:
    return inference_service_pb2.GenerateRequest(messages=ask().messages, **fields)


async def models_of(service: Any) -> list[Any]:
    response = await service.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=service.metadata())
    return list(response.models)


def texts(*values: str, model: str = "") -> embedding_service_pb2.EmbedRequest:
    return embedding_service_pb2.EmbedRequest(texts=values, model=model)


async def test_generate_answers_with_all_that_a_stream_would_tell(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("a", "b"), reasoning=("r",), tool_calls=(FakeToolCall("clock"),))
    response = await online.generations.Generate(whole(ask), metadata=online.metadata())
    del response.attempts[:]
    assert response == inference_service_pb2.GenerateResponse(
        text="ab",
        reasoning="r",
        tool_calls=[generation_pb2.ToolCall(tool_call_id="call_1", name="clock", arguments_json="{}")],
        finish_reason=generation_pb2.FINISH_REASON_TOOL_CALLS,
        usage=generation_pb2.TokenUsage(input_tokens=7, output_tokens=3),
        model="fake-model",
        provider="openai",
    )


async def test_generate_fails_with_the_same_reasons(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(break_off_after=3)
    failure = await online.failure(online.generations.Generate, whole(ask))
    assert failure.reason == "PROVIDER_UNAVAILABLE"
    failure = await online.failure(online.generations.Generate, whole(ask, model="other"))
    assert failure.reason == "MODEL_NOT_FOUND"


async def test_cancelling_generate_closes_the_providers_connection(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(tokens_per_second=5)
    call = online.generations.Generate(whole(ask), metadata=online.metadata())
    await upstream.wait_for(lambda: upstream.streams_open == 1, "the stream")
    call.cancel()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")


async def test_the_models_are_those_that_are_configured(online: Any, upstream: FakeOpenAI) -> None:
    models = await models_of(online)
    assert [(one.model, one.provider, list(one.aliases), list(one.capabilities)) for one in models] == [
        ("fake-model", "openai", ["fast", "strong"], [GENERATE, TOOLS]),
        ("embed-model", "openai", ["embed"], [EMBED]),
    ]
    assert upstream.requests == []


async def test_a_server_whose_models_nobody_named_lists_its_own(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    async with serve(OPENAI_BASE_URL=upstream.base_url) as service:
        assert [(one.model, list(one.capabilities)) for one in await models_of(service)] == [
            ("fake-model", [GENERATE, TOOLS]),
            ("embed-model", [EMBED]),
        ]
        response = await service.generations.Generate(whole(ask), metadata=service.metadata())
        assert response.model == "fake-model"


async def test_a_key_alone_gives_openais_default_model(serve: Any) -> None:
    async with serve(OPENAI_API_KEY="sk-test") as service:
        models = await models_of(service)
        assert [(one.model, one.provider) for one in models] == [("gpt-5-mini", "openai")]
        assert models[0].context_window_tokens == 400_000
        assert not models[0].offline


async def test_without_a_provider_the_list_holds_the_built_in_model(offline: Any) -> None:
    models = await models_of(offline)
    assert [(one.model, one.provider, one.offline, list(one.aliases)) for one in models] == [
        ("offline", "offline", True, ["fast", "strong"])
    ]


async def test_texts_become_vectors_in_their_order(online: Any, upstream: FakeOpenAI) -> None:
    upstream.embeddings_reversed = True
    for number, model in enumerate(("", "embed", "embed-model", "openai/embed-model")):
        response = await online.embeddings.Embed(texts("one", "two words", model=model), metadata=online.metadata())
        assert [list(one.values) for one in response.embeddings] == [vector_of("one", 8), vector_of("two words", 8)]
        # Whatever it was called before, its vectors are kept.
        assert (response.model, response.input_tokens) == ("embed-model", 0 if number else 3)


async def test_tokens_of_texts_are_estimated_when_the_provider_does_not_count(
    online: Any, upstream: FakeOpenAI
) -> None:
    upstream.enqueue(Reply(sends_usage=False))
    response = await online.embeddings.Embed(texts("x" * 40), metadata=online.metadata())
    assert response.input_tokens == 10


async def test_embedding_without_a_model_for_it_is_refused(offline: Any, online: Any) -> None:
    for service, model in ((offline, ""), (offline, "offline"), (online, "fake-model"), (online, "fast")):
        failure = await service.failure(service.embeddings.Embed, texts("x", model=model))
        assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
        assert failure.reason == "MODEL_NOT_CAPABLE"
    failure = await online.failure(online.embeddings.Embed, texts("x", model="other"))
    assert failure.reason == "MODEL_NOT_FOUND"


async def test_a_call_needs_a_token_with_the_scope(offline: Any, ask: Any) -> None:
    calls = [
        (offline.models.ListModels, model_service_pb2.ListModelsRequest()),
        (offline.embeddings.Embed, texts("x")),
        (offline.generations.Generate, whole(ask)),
    ]
    for method, request in calls:
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            (offline.metadata("chat:read"), grpc.StatusCode.PERMISSION_DENIED),
        ):
            try:
                await method(request, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                assert error.code() == code  # noqa: PT017 - both of two calls are looked at
            else:
                raise AssertionError(method)
    stream = offline.generations.StreamGenerate(ask(), metadata=offline.metadata("chat:read"))
    try:
        await stream.read()
    except grpc.aio.AioRpcError as error:
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED  # noqa: PT017 - see above
