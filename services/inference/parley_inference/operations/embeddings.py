"""Embedding: find the model, take the vectors that are kept, ask for the others in batches, check them, and count what was not counted."""

from __future__ import annotations

import asyncio
import logging
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parley_inference.domain.errors import (
    EmbeddingsTooLargeError,
    ModelNotCapableError,
    ProviderUnavailableError,
)
from parley_inference.domain.generation import estimated_tokens
from parley_inference.domain.models import Capability, Model
from parley_inference.operations.embedding_cache import EmbeddingCache
from parley_inference.operations.models import Models
from parley_inference.ports.embedding_model import EmbeddingModel

_logger = logging.getLogger(__name__)

_DIMENSIONS_MOST = 16_384
_COMPONENT_BYTES = 4
_VECTOR_BYTES = 300
"""What a vector takes in an answer beside its components: the model's name, at most 200 characters, and framing."""


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """How much is asked of a provider at once, and answered at once."""

    batch_texts: int = 32
    """Texts of one call at most. Servers that embed for themselves often take no more."""
    batch_tokens: int = 16_000
    """Tokens of one call at most, as we estimate them. A text that is longer goes alone."""
    calls: int = 4
    """Calls under way at once, of all requests together."""
    answer_bytes: int = 4 * 1024 * 1024
    """The largest answer that can be sent."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, in the order of the texts, and what they cost."""

    vectors: Sequence[Sequence[float]]
    model: str
    input_tokens: int
    """Of the texts that a provider was asked about."""
    cached_count: int
    """How many of the vectors were kept from earlier calls."""
    dimensions: int
    """How many components each vector has."""


class TextEmbedding:
    """The use case of embedding."""

    def __init__(self, models: Models, cache: EmbeddingCache, limits: EmbeddingLimits) -> None:
        self._models = models
        self._cache = cache
        self._limits = limits
        self._calls = asyncio.Semaphore(limits.calls)
        # A model has vectors of one length. Mixed ones would make an index of nonsense, and nobody would see it.
        self._dimensions: dict[tuple[str, str], int] = {}

    async def embed(self, name: str, texts: Sequence[str]) -> Embedded:
        """Embeds. `name` is a model or alias; the default embedding model when it is empty.

        Raises InferenceError: EmbeddingsTooLargeError when the answer would be larger than one may be. What was embedded until then is
        kept, so that asking again in parts costs nothing twice.
        """
        model = await self._models.resolve(name, Capability.EMBED)
        embedding_model = self._models.provider(model.provider).embedding_model
        if embedding_model is None:
            raise ModelNotCapableError(name or model.name, Capability.EMBED.value)
        keys = [self._cache.key(model.provider, model.name, text) for text in texts]
        vectors = {key: vector for key in keys if (vector := self._cache.get(key)) is not None}
        cached_count = sum(key in vectors for key in keys)
        # The same text is asked for once.
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        self._check_size(model, len(texts))
        input_tokens = await self._ask(model, embedding_model, missing, vectors)
        self._check_size(model, len(texts))
        ordered = [vectors[key] for key in keys]
        return Embedded(ordered, model.name, input_tokens, cached_count, len(ordered[0]))

    async def _ask(
        self,
        model: Model,
        embedding_model: EmbeddingModel,
        missing: dict[bytes, str],
        vectors: dict[bytes, array[float]],
    ) -> int:
        """Adds the vectors of the missing texts, and tells how many tokens were read for them."""

        async def ask(batch: Sequence[tuple[bytes, str]]) -> int:
            texts = [text for _, text in batch]
            async with self._calls:
                embeddings = await embedding_model.embed(model.name, texts)
            if len(embeddings.vectors) != len(texts):
                raise ProviderUnavailableError(model.provider, "sent another number of vectors than asked")
            for (key, _), values in zip(batch, embeddings.vectors, strict=True):
                vectors[key] = self._checked(model, values)
                self._cache.put(key, vectors[key])
            counted = embeddings.input_tokens
            return sum(estimated_tokens(len(text)) for text in texts) if counted is None else counted

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(batch)) for batch in self._batches(missing)]
        except BaseExceptionGroup as errors:
            # The first failure ended the others; it alone says why.
            raise errors.exceptions[0] from None
        return sum(task.result() for task in tasks)

    def _batches(self, missing: dict[bytes, str]) -> Iterator[Sequence[tuple[bytes, str]]]:
        batch: list[tuple[bytes, str]] = []
        tokens = 0
        for key, text in missing.items():
            size = estimated_tokens(len(text))
            if batch and (len(batch) >= self._limits.batch_texts or tokens + size > self._limits.batch_tokens):
                yield batch
                batch, tokens = [], 0
            batch.append((key, text))
            tokens += size
        if batch:
            yield batch

    def _checked(self, model: Model, values: Sequence[float]) -> array[float]:
        """The vector in single precision. Raises ProviderError for one that nothing can be done with."""
        vector = array("f", values)
        if not 1 <= len(vector) <= _DIMENSIONS_MOST:
            raise ProviderUnavailableError(model.provider, f"sent a vector of {len(vector)} components")
        # The sum of finite numbers is finite as long as they are no larger than any vector's are.
        if not math.isfinite(sum(map(abs, vector))):
            raise ProviderUnavailableError(model.provider, "sent a vector whose components are no finite numbers")
        expected = self._dimensions.setdefault((model.provider, model.name), len(vector))
        if len(vector) != expected:
            _logger.error(
                "provider %s: the model %s gave a vector of %d components, and one of %d before. Has the model been exchanged under its "
                "name? Then restart inference, and index anew what stands on its vectors.",
                model.provider,
                model.name,
                len(vector),
                expected,
            )
            raise ProviderUnavailableError(
                model.provider, f"{model.name} gave {len(vector)} components where it gave {expected} before"
            )
        return vector

    def _check_size(self, model: Model, count: int) -> None:
        """Refuses an answer that cannot be sent. Before the first answer of a model nothing is known."""
        dimensions = self._dimensions.get((model.provider, model.name), 0)
        most = self._limits.answer_bytes // (dimensions * _COMPONENT_BYTES + _VECTOR_BYTES)
        if dimensions and count > most:
            raise EmbeddingsTooLargeError(most, dimensions)
