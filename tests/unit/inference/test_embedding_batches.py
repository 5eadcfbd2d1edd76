"""How texts become calls of a provider, and what is done with bad vectors. The provider is scripted; the rest is real."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from parley_inference.domain.errors import EmbeddingsTooLargeError, ProviderUnavailableError
from parley_inference.domain.models import EMBEDDING, Model, ModelReference, Naming
from parley_inference.operations.embedding_cache import EmbeddingCache
from parley_inference.operations.embeddings import EmbeddingLimits, TextEmbedding
from parley_inference.operations.models import Models
from parley_inference.operations.providers import Provider
from parley_inference.ports.embedding_model import Embeddings
from parley_inference.ports.language_model import LanguageModel


class ScriptedModel:
    """Gives each text the vector that `vector` says."""

    def __init__(self, vector: Callable[[str], Sequence[float]] | None = None) -> None:
        self.vector = vector or (lambda text: [float(len(text)), 1.0])
        self.calls: list[list[str]] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self.go_on: asyncio.Event | None = None
        self.counts = True
        self._arrived = asyncio.Semaphore(0)

    async def arrive(self, calls: int) -> None:
        """Waits until so many more calls have come in."""
        for _ in range(calls):
            await self._arrived.acquire()

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        self.calls.append(list(texts))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self._arrived.release()
        try:
            await asyncio.sleep(0)
            if self.go_on is not None:
                await self.go_on.wait()
            return Embeddings([self.vector(text) for text in texts], model, len(texts) if self.counts else None)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def embedding(model: ScriptedModel, limits: EmbeddingLimits | None = None, cache_bytes: int = 100_000) -> TextEmbedding:
    provider = Provider("fake", cast(LanguageModel, None), model, models=(Model("vectors", "fake", EMBEDDING),))
    naming = Naming(ModelReference("vectors"), default_embedding=ModelReference("vectors"))
    models = Models([provider], naming, clock=lambda: 0.0)
    return TextEmbedding(models, EmbeddingCache(cache_bytes), limits or EmbeddingLimits())


async def test_a_call_has_only_so_many_texts_and_the_order_is_kept() -> None:
    model = ScriptedModel(lambda text: [float(text), 1.0])
    texts = [str(number) for number in range(10)]
    embedded = await embedding(model, EmbeddingLimits(batch_texts=4)).embed("", texts)
    assert sorted(map(len, model.calls)) == [2, 4, 4]
    assert [vector[0] for vector in embedded.vectors] == list(range(10))
    assert (embedded.model, embedded.dimensions, embedded.input_tokens, embedded.cached_count) == ("vectors", 2, 10, 0)


async def test_a_call_has_only_so_many_tokens_and_a_long_text_goes_alone() -> None:
    model = ScriptedModel()
    texts = ["a" * 40, "b" * 40, "c" * 4_000, "d" * 40, "e" * 40]
    await embedding(model, EmbeddingLimits(batch_tokens=30)).embed("", texts)
    assert sorted("".join(text[0] for text in call) for call in model.calls) == ["ab", "c", "de"]


async def test_only_so_many_calls_are_under_way_whoever_asks() -> None:
    model = ScriptedModel()
    model.go_on = asyncio.Event()
    service = embedding(model, EmbeddingLimits(batch_texts=1, calls=3))
    asking = [asyncio.create_task(service.embed("", [f"{who} {number}" for number in range(5)])) for who in "xy"]
    await model.arrive(3)
    for _ in range(100):
        await asyncio.sleep(0)
    assert model.running == 3
    model.go_on.set()
    await asyncio.gather(*asking)
    assert model.most_running == 3
    assert len(model.calls) == 10


async def test_a_text_is_asked_for_once() -> None:
    model = ScriptedModel()
    service = embedding(model)
    first = await service.embed("", ["one", "two", "one"])
    assert model.calls == [["one", "two"]]
    assert first.vectors[0] == first.vectors[2]
    assert (first.cached_count, first.input_tokens) == (0, 2)
    second = await service.embed("vectors", ["two", "three", "two"])
    assert model.calls[1:] == [["three"]]
    assert (second.cached_count, second.input_tokens) == (2, 1)
    third = await service.embed("", ["one"])
    assert (third.cached_count, third.input_tokens, third.dimensions) == (1, 0, 2)
    assert len(model.calls) == 2


async def test_tokens_that_the_provider_did_not_count_are_estimated() -> None:
    model = ScriptedModel()
    model.counts = False
    assert (await embedding(model).embed("", ["x" * 400])).input_tokens == 100


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
async def test_a_component_that_is_no_finite_number_is_refused_and_not_kept(bad: float) -> None:
    model = ScriptedModel(lambda _: [1.0, bad])
    service = embedding(model)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError, match="finite"):
            await service.embed("", ["one"])
    assert len(model.calls) == 2


async def test_a_model_keeps_the_length_of_its_vectors(caplog: pytest.LogCaptureFixture) -> None:
    model = ScriptedModel(lambda _: [1.0, 2.0])
    service = embedding(model)
    await service.embed("", ["one"])
    model.vector = lambda _: [1.0, 2.0, 3.0]
    with caplog.at_level(logging.ERROR), pytest.raises(ProviderUnavailableError, match="3 components"):
        await service.embed("", ["two"])
    assert "index anew" in caplog.text


async def test_one_failure_ends_the_other_calls_and_is_told_as_it_is() -> None:
    def vector(text: str) -> list[float]:
        if text == "bad":
            raise ProviderUnavailableError("fake", "down")
        return [1.0]

    model = ScriptedModel(vector)
    service = embedding(model, EmbeddingLimits(batch_texts=1, calls=1))
    with pytest.raises(ProviderUnavailableError, match="down"):
        await service.embed("", ["good", "bad", *map(str, range(20))])
    assert len(model.calls) < 6, "the others are not begun any more"
    model.vector = lambda _: [1.0]
    assert (await service.embed("", ["good"])).cached_count == 1, "what was embedded before is kept"


async def test_a_caller_that_leaves_ends_its_calls() -> None:
    model = ScriptedModel()
    model.go_on = asyncio.Event()
    call = asyncio.create_task(embedding(model, EmbeddingLimits(batch_texts=1)).embed("", ["one", "two"]))
    await model.arrive(2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (model.cancelled, model.running) == (2, 0)


async def test_an_answer_that_is_too_large_to_send_says_how_many_texts_fit() -> None:
    model = ScriptedModel(lambda _: [1.0] * 100)
    service = embedding(model, EmbeddingLimits(answer_bytes=7_000))
    texts = [str(number) for number in range(11)]
    with pytest.raises(EmbeddingsTooLargeError) as raised:
        await service.embed("", texts)
    assert (raised.value.most, raised.value.dimensions) == (10, 100)
    calls = len(model.calls)
    with pytest.raises(EmbeddingsTooLargeError):
        await service.embed("", [*texts, "new"])
    assert len(model.calls) == calls, "what cannot be answered is not asked"
    assert (await service.embed("", texts[:10])).cached_count == 10
