"""Makes one order of what was found by words and what was found by meaning: a convex combination of the two scores (Bruch, Gai and Ingber,
"An Analysis of Fusion Functions for Hybrid Retrieval", 2023).

Ranks alone say that the second is nearly as good as the first, whether or not it is. See docs/decisions/0011.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

FUSION_DEPTH = 100
"""How many points by words, and how many by meaning, are fused: an answer by both has at most twice as many."""
MEANING_WEIGHT = 0.4
"""How much the meaning counts, against 1 for both. Chosen on one half of the bench's questions, and the best on the other half, too."""

_FLOOR = 0.01
"""How far below the least of the best by meaning nothing would be, as a part of their span: so that what was found scores above 0."""

K = TypeVar("K", bound=Hashable)


def fused(by_words: Mapping[K, float], by_meaning: Mapping[K, float]) -> dict[K, float]:
    """The scores of what was found in either way, above 0 and up to 1.

    The scores by words, above 0, are measured by the best of them, which is as good as words can say. Those by meaning are measured between
    the best and the least: where they lie differs from model to model.
    """
    best = max(by_words.values(), default=1.0)
    scores = {key: (1 - MEANING_WEIGHT) * score / best for key, score in by_words.items()}
    if by_meaning:
        most, least = max(by_meaning.values()), min(by_meaning.values())
        # All alike, or only one: as near as can be.
        floor = least - _FLOOR * (most - least) if most > least else most - 1.0
        for key, score in by_meaning.items():
            scores[key] = scores.get(key, 0.0) + MEANING_WEIGHT * (score - floor) / (most - floor)
    return scores
