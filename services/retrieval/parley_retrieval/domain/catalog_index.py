"""Which items of a catalog have which terms, in memory: finds the items that may fit a taste, and how rare a term is.

It finds candidates and does not judge them: it may know items that were deleted a moment ago, and its scores are near the right ones.
Eight bytes for each term of an item; `CatalogIndex.size` counts them.
"""

from __future__ import annotations

import heapq
import math
import threading
from array import array
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import rarity

_READ_MOST = 2_000_000
"""How many entries a look-up reads: the terms that say most come first, and what they leave does not change who is first."""
_GROWTH = 1.1
"""When there are so many times more items, the lengths of all vectors are reckoned anew."""


class CatalogIndex:
    """The items of one catalog by their terms. Safe to use from several threads, one at a time is served."""

    def __init__(self) -> None:
        """Knows no item."""
        self._lock = threading.Lock()
        self._entries: dict[int, tuple[array[int], array[float]]] = {}
        self._ids: list[str | None] = []
        self._places: dict[str, int] = {}
        self._lengths = array("d")
        self._measured = 0
        self.cursor = 0
        """The version of the item that was taken in last."""
        self.size = 0
        """How many terms all items have together, those of items that are gone included."""

    def __len__(self) -> int:
        return len(self._places)

    @property
    def worn(self) -> bool:
        """Whether so much of it is of items that are gone that it is better made anew."""
        return len(self._ids) > 1_000 + 1.5 * len(self._places)

    def take_in(self, rows: Iterable[tuple[int, str, SparseVector]]) -> None:
        """Takes in items (version, id, terms) in the order of their versions, in place of what is known of them."""
        with self._lock:
            added = []
            for version, item_id, terms in rows:
                if version <= self.cursor:
                    continue  # Another thread, whose caller went away, was faster.
                self._forget(item_id)
                place = len(self._ids)
                self._ids.append(item_id)
                self._places[item_id] = place
                self._lengths.append(0.0)
                for term, weight in zip(terms.indices, terms.values, strict=True):
                    places, weights = self._entries.setdefault(term, (array("I"), array("f")))
                    places.append(place)
                    weights.append(weight)
                self.size += len(terms.indices)
                self.cursor = version
                added.append((place, terms))
            if len(self._places) > self._measured * _GROWTH:
                self._measure()
            else:
                for place, terms in added:
                    weights_of = zip(terms.indices, terms.values, strict=True)
                    self._lengths[place] = math.sqrt(
                        sum((weight * self._rarity(term)) ** 2 for term, weight in weights_of)
                    )

    def keep(self, item_ids: AbstractSet[str]) -> None:
        """Forgets the items that are not among these."""
        with self._lock:
            for item_id in [known for known in self._places if known not in item_ids]:
                self._forget(item_id)

    def rarities(self, terms: Iterable[int]) -> dict[int, float]:
        """How rare each term is: above 0, higher the fewer items have it."""
        with self._lock:
            return {term: self._rarity(term) for term in terms}

    def candidates(
        self,
        taste: Mapping[int, float],
        *,
        among: Collection[str] | None,
        without: Collection[str],
        most: int,
    ) -> list[str]:
        """The items that fit a taste, the fitting ones first. A taste is a weight by term, rarity included.

        Those that do not fit, or only as much as they do not, are left out. `among` None means all.
        """
        with self._lock:
            scores = array("d", bytes(8 * len(self._ids)))
            known = ((term, weight * self._rarity(term)) for term, weight in taste.items() if term in self._entries)
            left = _READ_MOST
            for term, weight in sorted(known, key=lambda pair: -abs(pair[1])):
                places, weights = self._entries[term]
                left -= len(places)
                if left < 0:
                    break
                for place, own in zip(places, weights, strict=True):
                    scores[place] += weight * own
            fitting = (
                (score / self._lengths[place], -place, item_id)
                for place, score in enumerate(scores)
                if score > 0 and (item_id := self._ids[place]) is not None and item_id not in without
                if among is None or item_id in among
            )
            return [item_id for _, _, item_id in heapq.nlargest(most, fitting)]

    def _forget(self, item_id: str) -> None:
        place = self._places.pop(item_id, None)
        if place is not None:
            self._ids[place] = None

    def _rarity(self, term: int) -> float:
        entries = self._entries.get(term)
        # Entries of items that are gone are counted with all items that were ever here.
        return rarity(len(self._ids), len(entries[0]) if entries else 0)

    def _measure(self) -> None:
        squares = array("d", bytes(8 * len(self._ids)))
        for term, (places, weights) in self._entries.items():
            rare = self._rarity(term)
            for place, weight in zip(places, weights, strict=True):
                squares[place] += (weight * rare) ** 2
        self._lengths = array("d", map(math.sqrt, squares))
        self._measured = len(self._places)
