"""Catalogs, what people did with their items, and what is recommended to whom: the use cases.

An index of each catalog that is asked for is kept in memory, those that were asked for last, and follows the database by the versions of
items. It finds candidates; what is answered is read from the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import (
    ITEMS_MOST,
    CatalogItem,
    EncodedItem,
    Interaction,
    ItemFacts,
    distinct,
    strongest_terms,
)
from parley_retrieval.domain.catalog_index import CatalogIndex
from parley_retrieval.domain.errors import CatalogItemNotFoundError
from parley_retrieval.domain.recommendations import (
    Person,
    Recommended,
    companions_by_item,
    explain,
    judge,
    judge_for_anybody,
    likeness,
    spread,
)
from parley_retrieval.domain.tastes import Opinion, Vector, opinions, product, taste, unit
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.ports.catalog_store import CatalogStore, Choice

logger = logging.getLogger(__name__)

_HISTORY = 1_000
"""How many of a person's interactions tell their taste: the last ones."""
_BY_WORDS = 200
_BY_OTHERS = 100
_BY_POPULARITY = 200
"""How many candidates each of the three ways gives."""
_CHOSEN = 20
"""Of how many items that a person is for, others who chose them are looked for."""
_PEOPLE = 100
_PAIRS = 5_000
"""How many others, and how many of their choices, are looked at."""
_PAGE = 500
"""How many items are read at once: their terms are unpacked in the event loop, a few milliseconds at a time."""
_INDEXED_TERMS = 8_000_000
"""How many terms of items the indexes in memory have together: 64 MB, and the terms' names."""


@dataclass(frozen=True, slots=True)
class Given:
    """Recommendations."""

    items: Sequence[tuple[CatalogItem, Recommended]]
    is_new_person: bool
    """Nothing that the person did could be used."""


class _Kept:
    """The index of a catalog, and for which version of it."""

    def __init__(self) -> None:
        self.index = CatalogIndex()
        self.version = 0
        self.lock = asyncio.Lock()


class Recommendations:
    """What RecommendationService does. Every call names the owner of the catalog."""

    def __init__(
        self,
        store: CatalogStore,
        encoder: TermEncoder,
        *,
        items_most: int = ITEMS_MOST,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """The database and what makes terms of words."""
        self._store = store
        self._encoder = encoder
        self._items_most = items_most
        self._now = now
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def put_items(self, owner_id: str, items: Sequence[CatalogItem]) -> None:
        """Puts items of different ids. Raises TooManyItemsError."""
        encoded = await asyncio.to_thread(lambda: [self._encoded(item) for item in items])
        await self._store.put_items(owner_id, encoded, self._items_most)

    async def delete_items(self, owner_id: str, item_ids: Sequence[str]) -> int:
        """Deletes items with the interactions with them, and tells how many there were."""
        return await self._store.delete_items(owner_id, distinct(item_ids))

    async def record(self, owner_id: str, interactions: Sequence[Interaction]) -> int:
        """Records all interactions that are new, or none. Raises CatalogItemNotFoundError."""
        return await self._store.record(owner_id, interactions)

    async def delete_person(self, owner_id: str, person_id: str) -> int:
        """Forgets a person and tells how many interactions there were."""
        return await self._store.delete_person(owner_id, person_id)

    async def recommend(
        self,
        owner_id: str,
        person_id: str,
        *,
        limit: int,
        labels: Mapping[str, str],
        include_seen: bool,
        diversity: float,
    ) -> Given:
        """What fits a person, the best first; what is popular, of different categories, when nothing is known of them."""
        index = await self._index(owner_id)
        choice = Choice(labels, "" if include_seen else person_id)
        history = await self._store.history(owner_id, person_id, _HISTORY)
        held = opinions(history, self._now())
        popular = list(await self._store.popular(owner_id, choice, max(_BY_POPULARITY, limit)))
        person: Person | None = None
        candidates: list[str] = popular
        if held:
            person = await self._person(owner_id, person_id, held, index)
        if person is not None:
            among = await self._store.labelled(owner_id, labels) if labels else None
            seen = set() if include_seen else await self._store.seen(owner_id, person_id)
            by_words = await asyncio.to_thread(
                index.candidates, person.taste, among=among, without=seen, most=_BY_WORDS
            )
            by_others = [
                item_id
                for item_id in _nearest(person.likeness)
                if item_id not in seen and (among is None or item_id in among)
            ]
            candidates = distinct([*by_words, *by_others[:_BY_OTHERS], *popular])
        if len(candidates) < limit:
            candidates += await self._store.newest(owner_id, choice, set(candidates), max(_BY_POPULARITY, limit))
        facts = await self._store.facts(owner_id, candidates)
        chosen = await asyncio.to_thread(_choose, person, list(facts.values()), index, limit, diversity)
        items = await self._store.items(owner_id, [each.item_id for each in chosen])
        return Given([(items[each.item_id], each) for each in chosen if each.item_id in items], person is None)

    async def similar(self, owner_id: str, item_id: str, limit: int) -> Sequence[tuple[CatalogItem, float]]:
        """The items whose words are most like those of one, with the cosine between them. Raises CatalogItemNotFoundError."""
        index = await self._index(owner_id)
        own = (await self._store.facts(owner_id, [item_id])).get(item_id)
        if own is None:
            raise CatalogItemNotFoundError(item_id)
        vector = _vectors([own], index)[item_id]
        candidates = await asyncio.to_thread(
            index.candidates, vector, among=None, without={item_id}, most=max(_BY_WORDS, limit)
        )
        facts = await self._store.facts(owner_id, candidates)
        vectors = await asyncio.to_thread(_vectors, list(facts.values()), index)
        scores = {other: min(1.0, product(vector, vectors[other])) for other in candidates if other in facts}
        best = sorted((other for other in scores if scores[other] > 0), key=lambda other: (-scores[other], other))[
            :limit
        ]
        items = await self._store.items(owner_id, best)
        return [(items[other], scores[other]) for other in best if other in items]

    async def encode_anew(self) -> None:
        """Gives items whose terms another language's stems made the terms of this one. Goes on until there are none."""
        count = 0
        while rows := await self._store.encoded_otherwise(self._encoder.encoding, _PAGE):
            for owner_id, item in rows:
                await self._store.encode(owner_id, item, await asyncio.to_thread(self._encoded, item))
            count += len(rows)
        if count:
            logger.info("catalog items were encoded anew", extra={"count": count})

    def _encoded(self, item: CatalogItem) -> EncodedItem:
        query = self._encoder.query(f"{item.title}\n{item.text}")
        return EncodedItem(item, strongest_terms(query.terms if query else None), self._encoder.encoding)

    async def _person(
        self, owner_id: str, person_id: str, held: Sequence[Opinion], index: CatalogIndex
    ) -> Person | None:
        own = await self._store.facts(owner_id, [opinion.item_id for opinion in held])
        known = [opinion for opinion in held if opinion.item_id in own]
        if not known:
            return None  # All of it was deleted a moment ago.
        vectors = await asyncio.to_thread(_vectors, list(own.values()), index)
        chosen = [opinion.item_id for opinion in known if opinion.weight > 0][:_CHOSEN]
        alike: dict[str, dict[str, float]] = {}
        if chosen:
            pairs = await self._store.companions(owner_id, person_id, chosen, people=_PEOPLE, limit=_PAIRS)
            counts = await asyncio.to_thread(companions_by_item, pairs, set(chosen), 3 * _BY_OTHERS)
            people = await self._store.person_counts(owner_id, list(counts))
            alike = {
                item_id: {
                    other: likeness(together, people[item_id], own[other].person_count)
                    for other, together in counts[item_id].items()
                }
                for item_id in people
            }
        return Person(known, taste(known, vectors), own, vectors, alike)

    async def _index(self, owner_id: str) -> CatalogIndex:
        """The index of a catalog as it is now."""
        kept = self._kept.setdefault(owner_id, _Kept())
        self._kept.move_to_end(owner_id)
        async with kept.lock:
            state = await self._store.state(owner_id)
            if state.version != kept.version:
                if kept.index.worn or state.version < kept.version:
                    kept.index = CatalogIndex()
                await self._follow(owner_id, kept.index, state.item_count)
                kept.version = state.version
            index = kept.index
        self._make_room()
        return index

    async def _follow(self, owner_id: str, index: CatalogIndex, item_count: int) -> None:
        while rows := await self._store.terms_after(owner_id, index.cursor, _PAGE):
            await asyncio.to_thread(index.take_in, rows)
            if len(rows) < _PAGE:
                break
        if len(index) != item_count:
            # Something was deleted. What is written at this moment has a higher version and comes next time.
            await asyncio.to_thread(index.keep, await self._store.item_ids(owner_id))

    def _make_room(self) -> None:
        size = sum(kept.index.size for kept in self._kept.values())
        while size > _INDEXED_TERMS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            size -= oldest.index.size


def _vectors(facts: Sequence[ItemFacts], index: CatalogIndex) -> dict[str, Vector]:
    every: list[SparseVector] = [each.terms for each in facts]
    rarities = index.rarities(set(chain.from_iterable(terms.indices for terms in every)))
    return {each.item_id: unit(each.terms, rarities) for each in facts}


def _nearest(alike: Mapping[str, Mapping[str, float]]) -> list[str]:
    return sorted(alike, key=lambda item_id: (-sum(alike[item_id].values()), item_id))


def _choose(
    person: Person | None, facts: Sequence[ItemFacts], index: CatalogIndex, limit: int, diversity: float
) -> list[Recommended]:
    """Judges candidates, spreads the best and explains them."""
    vectors = _vectors(facts, index)
    if person is not None:
        chosen = spread(judge(person, facts, vectors), limit, diversity, over_categories=False)
        return [explain(candidate, person) for candidate in chosen]
    judged = judge_for_anybody(facts, vectors)
    popular = [candidate for candidate in judged if candidate.facts.person_count]
    chosen = spread(popular, limit, diversity, over_categories=True)
    others = [candidate for candidate in judged if not candidate.facts.person_count]
    chosen += spread(others, limit - len(chosen), diversity, over_categories=True)
    return [explain(candidate, None) for candidate in chosen]
