"""What a person likes, as a weight by term, and how alike two items are. Not which items are recommended: that is `recommendations.py`.

A vector here is a weight by term, rarity included; those of items have the length 1, so that their product is the cosine between them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import Interaction, InteractionKind, decay

Vector: TypeAlias = Mapping[int, float]

PROFILE_MOST = 100
"""How many items speak for a person's taste: those that weigh most, whether for or against."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person thinks of an item, from all that they did with it."""

    item_id: str
    weight: float
    """The sum of what they did, each halved every 30 days. Below 0 when they dislike it."""
    kind: InteractionKind
    """What weighed most of it."""


def opinions(history: Iterable[Interaction], now: datetime) -> list[Opinion]:
    """What a person thinks of items, the strongest opinions first; those that weigh nothing are left out."""
    by_item: dict[str, list[tuple[float, InteractionKind]]] = defaultdict(list)
    for one in history:
        by_item[one.item_id].append((one.weight * decay(one.time, now), one.kind))
    found = [
        Opinion(item_id, sum(weight for weight, _ in parts), max(parts, key=lambda part: abs(part[0]))[1])
        for item_id, parts in by_item.items()
    ]
    return sorted((each for each in found if each.weight), key=lambda each: (-abs(each.weight), each.item_id))[
        :PROFILE_MOST
    ]


def unit(terms: SparseVector, rarities: Mapping[int, float]) -> Vector:
    """The vector of an item, of length 1; empty for an item without words."""
    weighed = {term: weight * rarities.get(term, 0.0) for term, weight in zip(terms.indices, terms.values, strict=True)}
    length = math.sqrt(sum(weight * weight for weight in weighed.values()))
    return {term: weight / length for term, weight in weighed.items()} if length else {}


def product(one: Vector, other: Vector) -> float:
    """The sum of the products of their common terms."""
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other[term] for term, weight in one.items() if term in other)


def taste(profile: Sequence[Opinion], vectors: Mapping[str, Vector]) -> Vector:
    """The sum of the items that a person has an opinion of, times the opinion; of length 1, empty when nothing is left of it."""
    whole: dict[int, float] = defaultdict(float)
    for opinion in profile:
        for term, weight in vectors.get(opinion.item_id, {}).items():
            whole[term] += opinion.weight * weight
    length = math.sqrt(sum(weight * weight for weight in whole.values()))
    return {term: weight / length for term, weight in whole.items()} if length else {}
