"""Dense vectors: what a text means, as an embedding model says it. Only vectors of one space can be compared."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

DIMENSIONS_MOST = 16_384
"""The longest vector that is taken."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a dense vector is comparable within."""

    model: str
    """The model that made it, as its provider names it."""
    dimensions: int
    """How many components it has."""


@dataclass(frozen=True, slots=True)
class DenseVector:
    """A vector of a space. Checks itself, because engines take nonsense without a word and answer with it."""

    space: Space
    values: array[float]
    """Its components in single precision, as many as the space has dimensions; finite, and not all of them 0."""

    def __post_init__(self) -> None:
        """Raises ValueError for anything that is not a vector of the space."""
        if len(self.values) != self.space.dimensions or not 1 <= len(self.values) <= DIMENSIONS_MOST:
            raise ValueError("a dense vector has as many components as its space has dimensions")
        length = math.fsum(value * value for value in self.values)
        # Nothing is near a vector without a direction.
        if not math.isfinite(length) or length <= 0:
            raise ValueError("a dense vector has finite components, not all of them 0")
