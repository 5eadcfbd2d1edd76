"""Embedding: find the model, let it embed, and count what it did not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parley_inference.domain.errors import ModelNotCapableError, ProviderUnavailableError
from parley_inference.domain.generation import estimated_tokens
from parley_inference.domain.models import Capability
from parley_inference.operations.models import Models


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, in the order of the texts, and what they cost."""

    vectors: Sequence[Sequence[float]]
    model: str
    input_tokens: int


class TextEmbedding:
    """The use case of embedding."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def embed(self, name: str, texts: Sequence[str]) -> Embedded:
        """Embeds. `name` is a model or alias; the default embedding model when it is empty. Raises InferenceError."""
        model = await self._models.resolve(name, Capability.EMBED)
        embedding_model = self._models.provider(model.provider).embedding_model
        if embedding_model is None:
            raise ModelNotCapableError(name or model.name, Capability.EMBED.value)
        embeddings = await embedding_model.embed(model.name, texts)
        if len(embeddings.vectors) != len(texts):
            raise ProviderUnavailableError(model.provider, "sent another number of vectors than asked")
        counted = embeddings.input_tokens
        estimate = sum(estimated_tokens(len(text)) for text in texts)
        return Embedded(embeddings.vectors, embeddings.model, estimate if counted is None else counted)
