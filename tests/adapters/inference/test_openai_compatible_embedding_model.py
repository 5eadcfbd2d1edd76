"""Embeddings from OpenAI-compatible servers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from parley_inference.adapters.openai_compatible_embedding_model import OpenAICompatibleEmbeddingModel
from parley_inference.adapters.openai_connection import OpenAIConnection
from parley_inference.adapters.provider_connection import Endpoint
from parley_inference.domain.errors import (
    ModelNotFoundError,
    ProviderCredentialsError,
    ProviderStalledError,
    ProviderUnavailableError,
)
from parley_testing.fake_openai import FakeOpenAI, Reply, vector_of


@pytest.fixture
async def model(upstream: FakeOpenAI) -> AsyncIterator[OpenAICompatibleEmbeddingModel]:
    connection = OpenAIConnection(Endpoint("fake", upstream.base_url, "sk-test", 5))
    yield OpenAICompatibleEmbeddingModel(connection, 1)
    await connection.close()


async def test_vectors_come_back_in_the_order_of_their_texts(
    upstream: FakeOpenAI, model: OpenAICompatibleEmbeddingModel
) -> None:
    upstream.embeddings_reversed = True
    texts = [f"text number {number}" for number in range(150)]
    embeddings = await model.embed("vectors", texts)
    assert [list(vector) for vector in embeddings.vectors] == [vector_of(text, 8) for text in texts]
    assert embeddings.model == "vectors"
    assert embeddings.input_tokens == 450
    assert [len(request.body["input"]) for request in upstream.requests] == [150]
    assert {request.body["encoding_format"] for request in upstream.requests} == {"float"}


async def test_tokens_that_were_not_counted_are_not_made_up(
    upstream: FakeOpenAI, model: OpenAICompatibleEmbeddingModel
) -> None:
    upstream.enqueue(Reply(sends_usage=False))
    assert (await model.embed("vectors", ["x"] * 100)).input_tokens is None


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": []}],
        [{"index": 0, "embedding": ["x"]}],
        [{"embedding": [1.0]}],
        [{"index": 0, "embedding": [None]}],
        [{"index": 0, "embedding": 7}],
        "oops",
        None,
    ],
)
async def test_vectors_that_do_not_belong_to_the_texts_are_refused(
    upstream: FakeOpenAI, model: OpenAICompatibleEmbeddingModel, data: Any
) -> None:
    upstream.enqueue(Reply(body=[json.dumps({"data": data}).encode()]))
    with pytest.raises(ProviderUnavailableError):
        await model.embed("vectors", ["one"])


async def test_vectors_of_different_lengths_are_refused(
    upstream: FakeOpenAI, model: OpenAICompatibleEmbeddingModel
) -> None:
    data = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]
    upstream.enqueue(Reply(body=[json.dumps({"data": data}).encode()]))
    with pytest.raises(ProviderUnavailableError):
        await model.embed("vectors", ["one", "two"])


async def test_refusals_are_the_same_as_for_text(upstream: FakeOpenAI, model: OpenAICompatibleEmbeddingModel) -> None:
    for reply, kind in (
        (Reply(status=401), ProviderCredentialsError),
        (Reply(status=404), ModelNotFoundError),
        (Reply(status=500), ProviderUnavailableError),
        (Reply(headers_seconds=20), ProviderStalledError),
        (Reply(body=[b"oops"]), ProviderUnavailableError),
    ):
        upstream.enqueue(reply)
        with pytest.raises(kind):
            await model.embed("vectors", ["one"])
