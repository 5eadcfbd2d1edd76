"""Who turns text into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors, in the order of the texts."""

    vectors: Sequence[Sequence[float]]
    model: str
    """As its provider names it."""
    input_tokens: int | None
    """None when the provider gave no figure."""


class EmbeddingModel(Protocol):
    """Embeds text with the models of one provider."""

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """One vector for each text, all of the same length. Raises ModelNotFoundError and ProviderError."""
        ...
