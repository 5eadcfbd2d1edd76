"""Who says what texts mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors, in the order of the texts."""

    model: str
    """The model that made them, as its provider names it."""
    vectors: Sequence[Sequence[float]]
    """One for each text, as they came: nobody has looked at them yet."""


class EmbeddingModel(Protocol):
    """Embeds texts."""

    async def embed(self, texts: Sequence[str], *, seconds: float, model: str = "") -> Embeddings:
        """Embeds any number of texts with one model: the one of the settings when `model` is empty.

        Raises EmbeddingUnavailableError for what may pass, EmbeddingRefusedError for what somebody has to mend.
        """
        ...
