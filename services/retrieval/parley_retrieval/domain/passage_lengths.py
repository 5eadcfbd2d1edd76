"""How long the passages of an owner are: what BM25 measures the length of each of them by.

Notes of one line and chapters of a book are searched alike only when each is compared with its own kind. An owner's points are all weighed
by the same expected length, which is learned: when what was written since is of another length, the points are weighed anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from parley_retrieval.domain.bm25 import AVERAGE_LENGTH

DRIFT = 1.25
"""How many times longer, or shorter, the mean may be than what is expected. A quarter moves hardly any passage."""

_PASSAGES_BEFORE = 8
"""How many passages of the usual length every owner is taken to have, so that the first few do not say what all will be like."""


@dataclass(frozen=True, slots=True)
class PassageLengths:
    """What is known of an owner's passages."""

    passages: int = 0
    """How many were counted. Approximate: what was replaced or deleted since the last weighing is still among them."""
    words: int = 0
    """How many words they have that are no stop words, headings included."""
    expected: float = AVERAGE_LENGTH
    """By what the owner's points are weighed, words."""

    @property
    def mean(self) -> float:
        """The mean length, words; near the usual one as long as there are few passages."""
        return (self.words + _PASSAGES_BEFORE * AVERAGE_LENGTH) / (self.passages + _PASSAGES_BEFORE)

    @property
    def drifted(self) -> bool:
        """Whether the points are to be weighed anew."""
        return not 1 / DRIFT <= self.mean / self.expected <= DRIFT

    def more(self, passages: int, words: int) -> PassageLengths:
        """With passages that were written."""
        return PassageLengths(self.passages + passages, self.words + words, self.expected)
