"""What a product recommends, and what people did with it. Not who gets what: that is `recommendations.py`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from parley_retrieval.domain.bm25 import SparseVector, passage_vector

ITEMS_MOST = 100_000
"""How many items a catalog has at most."""
TERMS_MOST = 64
"""How many terms of an item are kept: its strongest. What a long text says in passing does not tell what it is about."""
HALF_LIFE_DAYS = 30.0
"""After so long an interaction counts half."""

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)


class InteractionKind(Enum):
    """What somebody did with an item."""

    VIEW = "view"
    LIKE = "like"
    DISLIKE = "dislike"
    PURCHASE = "purchase"
    CUSTOM = "custom"


WEIGHTS: Mapping[InteractionKind, float] = {
    InteractionKind.VIEW: 1.0,
    InteractionKind.LIKE: 3.0,
    InteractionKind.DISLIKE: -3.0,
    InteractionKind.PURCHASE: 5.0,
}
"""What each kind weighs; CUSTOM brings its own weight."""


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """Something that can be recommended."""

    item_id: str
    title: str
    text: str = ""
    category: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedItem:
    """An item with what its words weigh."""

    item: CatalogItem
    terms: SparseVector
    encoding: str
    """What the weights depend on besides the words."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Something that a person did with an item."""

    person_id: str
    item_id: str
    kind: InteractionKind
    weight: float
    time: datetime
    """UTC."""
    interaction_id: str = ""
    """The product's own id of it; empty for none."""

    @property
    def pull(self) -> float:
        """What it adds to the popularity of its item: its weight if above 0, times two for every half-life since 2025.

        Popularity is compared and never shown. Told from a fixed day on, it is a sum that need not be made anew as time goes by: what is
        older counts less because what is newer counts more. A 64-bit number holds it until the year 2100.
        """
        return max(self.weight, 0.0) / decay(self.time, _EPOCH) if self.time > _EPOCH else self._old_pull()

    def _old_pull(self) -> float:
        return max(self.weight, 0.0) * decay(self.time, _EPOCH)


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of an item besides its text."""

    item_id: str
    title: str
    category: str
    terms: SparseVector
    popularity: float
    """The sum of the `pull` of all interactions with it."""
    person_count: int
    """How many people did something with it that weighs more than 0."""


def decay(time: datetime, now: datetime) -> float:
    """What is left at `now` of something of then: 1 at most, half of it after each half-life."""
    days = abs((now - time).total_seconds()) / 86_400
    return float(2.0 ** -(days / HALF_LIFE_DAYS))


def strongest_terms(counts: SparseVector | None) -> SparseVector:
    """The weights of an item's words, given how often it has each, the most telling ones first; equal ones in their order.

    Without words it has none.
    """
    if counts is None:
        return SparseVector((), ())
    whole = passage_vector(
        {term: round(count) for term, count in zip(counts.indices, counts.values, strict=True)},
        round(sum(counts.values)),
    )
    best = sorted(zip(whole.indices, whole.values, strict=True), key=lambda pair: -pair[1])[:TERMS_MOST]
    return SparseVector(tuple(term for term, _ in best), tuple(round(weight, 4) for _, weight in best))


def label_digest(name: str, value: str) -> str:
    """Names a label and its value by 64 hexadecimal digits, however long the value."""
    return hashlib.sha256(f"{name}={value}".encode()).hexdigest()


def rarity(item_count: int, with_term: int) -> float:
    """BM25's IDF: above 0, higher the fewer items have the term (Robertson and Spärck Jones 1976, as Lucene writes it)."""
    return math.log(1 + (item_count - with_term + 0.5) / (with_term + 0.5)) if with_term <= item_count else 0.0


def distinct(values: Sequence[str]) -> list[str]:
    """The values, each once, in their order."""
    return list(dict.fromkeys(values))
