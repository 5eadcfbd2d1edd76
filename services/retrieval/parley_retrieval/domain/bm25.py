"""BM25 as sparse vectors: what a passage weighs per term, and a query. The index multiplies in the rarity (IDF)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SATURATION = 1.5
"""BM25's k: how soon more of the same term stops to count."""
LENGTH_WEIGHT = 0.75
"""BM25's b: how much a long passage is held against it."""
AVERAGE_LENGTH = 40.0
"""The length that a passage is expected to have where nothing is known of others, in words that are no stop words, its headings among them.

Measured: the passages of four collections of English prose have 12 to 50 such words in the mean, three of them 36 to 50. From 30 to 60 the
order hardly changes. What an owner's passages really have is learned: see passage_lengths.py.
"""

_LARGEST_INDEX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Weights by term. Checks itself, because engines take nonsense without a word and answer with it."""

    indices: tuple[int, ...]
    """The terms: distinct, 0 to 2**32 - 1."""
    values: tuple[float, ...]
    """Their weights, finite and above 0, as many as terms."""

    def __post_init__(self) -> None:
        """Raises ValueError for anything that is not a sparse vector."""
        if len(self.indices) != len(self.values):
            raise ValueError("a sparse vector needs one value per index")
        if len(set(self.indices)) != len(self.indices):
            raise ValueError("a sparse vector names no index twice")
        if not all(0 <= index <= _LARGEST_INDEX for index in self.indices):
            raise ValueError("indices of a sparse vector are 32 bits wide")
        if not all(math.isfinite(value) and value > 0 for value in self.values):
            raise ValueError("values of a sparse vector are finite and above 0")


def passage_vector(counts: Mapping[int, int], length: int, average_length: float = AVERAGE_LENGTH) -> SparseVector:
    """What each term of a passage weighs.

    `counts` says how often each term occurs, `length` how many words count for the length.
    """
    norm = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * length / average_length)
    return SparseVector(tuple(counts), tuple(count * (SATURATION + 1) / (count + norm) for count in counts.values()))


def query_vector(counts: Mapping[int, int], weight: float = 1.0) -> SparseVector:
    """A query's terms, each as often as it was said, times `weight`."""
    return SparseVector(tuple(counts), tuple(count * weight for count in counts.values()))
