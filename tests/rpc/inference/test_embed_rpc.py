"""Embed over a real server, with an upstream on a real socket."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from grpc import StatusCode
from parley.inference.v1 import embedding_service_pb2
from parley_testing.fake_openai import FakeOpenAI, Reply, vector_of


def asked(*texts: str) -> embedding_service_pb2.EmbedRequest:
    return embedding_service_pb2.EmbedRequest(texts=texts)


async def embed(service: Any, *texts: str) -> embedding_service_pb2.EmbedResponse:
    response = await service.embeddings.Embed(asked(*texts), metadata=service.metadata())
    assert isinstance(response, embedding_service_pb2.EmbedResponse)
    return response


def service_of(serve: Any, upstream: FakeOpenAI, **variables: str) -> Any:
    return serve(OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_EMBEDDING_MODEL="embed-model", **variables)


async def test_every_vector_names_its_model_and_the_answer_says_what_was_kept(serve: Any, upstream: FakeOpenAI) -> None:
    async with service_of(serve, upstream) as service:
        first = await embed(service, "one", "two", "one")
        assert [list(one.values) for one in first.embeddings] == [vector_of(text, 8) for text in ("one", "two", "one")]
        assert {one.model for one in first.embeddings} == {"embed-model"}
        assert (first.dimensions, first.cached_count, first.input_tokens) == (8, 0, 2)
        second = await embed(service, "two", "three")
        assert (second.cached_count, second.input_tokens) == (1, 1)
        assert [request.body["input"] for request in upstream.requests] == [["one", "two"], ["three"]]


async def test_the_largest_request_goes_in_batches(serve: Any, upstream: FakeOpenAI) -> None:
    texts = [f"text {number}" for number in range(256)]
    async with service_of(serve, upstream, PARLEY_INFERENCE_EMBEDDING_BATCH_TEXTS="100") as service:
        response = await embed(service, *texts)
        assert [list(one.values) for one in response.embeddings] == [vector_of(text, 8) for text in texts]
        assert sorted(len(request.body["input"]) for request in upstream.requests) == [56, 100, 100]


async def test_without_memory_for_vectors_all_is_asked_again(serve: Any, upstream: FakeOpenAI) -> None:
    async with service_of(serve, upstream, PARLEY_INFERENCE_EMBEDDING_CACHE_MEGABYTES="0") as service:
        for _ in range(2):
            assert (await embed(service, "one")).cached_count == 0
        assert len(upstream.requests) == 2


@pytest.mark.parametrize("component", ["NaN", "1e999", "null", '"x"'])
async def test_components_that_are_no_numbers_are_the_providers_fault(
    serve: Any, upstream: FakeOpenAI, component: str
) -> None:
    async with service_of(serve, upstream) as service:
        upstream.enqueue(Reply(body=[b'{"data": [{"index": 0, "embedding": [1.0, %s]}]}' % component.encode()]))
        failure = await service.failure(service.embeddings.Embed, asked("one"))
        assert (failure.code, failure.reason) == (StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE")
        assert component not in failure.message
        assert not any(math.isnan(value) for value in (await embed(service, "one")).embeddings[0].values)


async def test_vectors_of_another_length_than_before_are_refused(serve: Any, upstream: FakeOpenAI) -> None:
    async with service_of(serve, upstream) as service:
        await embed(service, "one")
        upstream.enqueue(Reply(body=[json.dumps({"data": [{"index": 0, "embedding": [1.0]}]}).encode()]))
        failure = await service.failure(service.embeddings.Embed, asked("two"))
        assert (failure.code, failure.reason) == (StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE")
        assert (await embed(service, "two")).dimensions == 8


async def test_an_answer_larger_than_a_message_says_how_many_texts_to_ask_for(serve: Any, upstream: FakeOpenAI) -> None:
    upstream.dimensions = 1_000
    texts = [f"text {number}" for number in range(40)]
    async with service_of(serve, upstream, PARLEY_MAX_MESSAGE_BYTES=str(64 * 1024)) as service:
        failure = await service.failure(service.embeddings.Embed, asked(*texts))
        assert (failure.code, failure.reason) == (StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
        most = int(failure.metadata["limit"])
        assert str(most) in failure.message
        response = await embed(service, *texts[:most])
        assert (len(response.embeddings), response.cached_count) == (most, most)
