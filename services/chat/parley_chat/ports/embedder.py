"""Who turns texts into vectors. Not who keeps or searches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of texts."""

    vectors: tuple[tuple[float, ...], ...]
    """One for each text, in the same order, all of the same length."""
    model: str
    """As its provider names it."""
    input_tokens: int
    """Those of texts whose vectors were kept from earlier calls do not count."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(self, user_id: str, texts: Sequence[str], model: str, *, within_seconds: float) -> Embedded:
        """Embeds texts in the name of a user; an empty model is the default. Raises GenerationError."""
        ...
