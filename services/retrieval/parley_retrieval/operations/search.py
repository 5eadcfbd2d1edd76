"""Finds the passages that fit a question: by words, by meaning, or by both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from uuid import UUID

from parley_retrieval.domain.chunks import Hit, Passage
from parley_retrieval.domain.errors import EmbeddingUnavailableError, SpaceChangedError
from parley_retrieval.domain.meaning import DenseVector
from parley_retrieval.domain.narrowing import EVERYTHING, Narrowing
from parley_retrieval.domain.snippets import snippet_of
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.operations.terms import QueryTerms, TermEncoder
from parley_retrieval.ports.document_store import DocumentStore
from parley_retrieval.ports.item_store import ItemStore
from parley_retrieval.ports.metrics import Metrics, NoMetrics
from parley_retrieval.ports.tracing import Tracing
from parley_retrieval.ports.vector_index import IndexQuery, ScoredPoint, VectorIndex

PASSAGES_MOST = 200
"""How many passages an answer has on all its pages."""
_POINTS = 256
"""How many points are asked for, the same for every page, so that pages are of one answer. A few more than there may be passages, so
that equal scores at the edge are put in order by us."""
_MORE_POINTS = 16
"""How many points are asked for first beyond the passages of a first page that asks by words. Their order is that of the long answer: what
follows them is read only when the page needs it, or when it may be in the wrong order because the scores go on alike."""
_TRIES = 4


class SearchMode(Enum):
    """How is searched. The values stand in page tokens."""

    HYBRID = 1
    KEYWORD = 2
    SEMANTIC = 3


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """Where an answer goes on."""

    mode: SearchMode
    """How it was searched for: a further page is of the same answer or there is none."""
    position: int
    """How many points came before."""
    passages: int
    """How many passages came before."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of an answer."""

    hits: Sequence[Hit]
    """Best first."""
    mode: SearchMode
    """How was searched."""
    next_place: SearchPlace | None
    """Where the next page begins; None when there is none."""


class Search:
    """The use case."""

    def __init__(
        self,
        store: DocumentStore,
        index: VectorIndex,
        encoder: TermEncoder,
        tracing: Tracing,
        meanings: Meanings | None = None,
        items: ItemStore | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """The index says which chunks fit, the stores what they are and, once more, whether the user may see them."""
        self._store = store
        self._items = items
        self._index = index
        self._encoder = encoder
        self._tracing = tracing
        self._meanings = meanings or Meanings(None)
        self._metrics = metrics or NoMetrics()

    async def find(
        self,
        visibility: Visibility,
        question: str,
        *,
        limit: int,
        narrowing: Narrowing = EVERYTHING,
        mode: SearchMode = SearchMode.HYBRID,
        place: SearchPlace | None = None,
        with_snippets: bool = True,
    ) -> Found:
        """At most `limit` passages, best first, from `place` on.

        Searches by words alone when the question cannot be embedded. A further page of an answer that was found by meaning raises
        EmbeddingUnavailableError then.
        """
        started = time.perf_counter()
        asked = self._encoder.query(question)
        wanted = place.mode if place else mode
        for _ in range(_TRIES):
            meaning = None if wanted is SearchMode.KEYWORD else await self._meaning(question)
            used = _used(wanted, asked, meaning)
            if place is not None and used is not place.mode:
                raise EmbeddingUnavailableError("the question of a further page cannot be embedded")
            terms = asked if used is not SearchMode.SEMANTIC else None
            if terms is None and meaning is None:
                self._metrics.searched(used.name.lower(), 0, time.perf_counter() - started)
                return Found([], used, None)
            try:
                found = await self._page(visibility, terms, meaning, narrowing, limit, place or SearchPlace(used, 0, 0))
            except SpaceChangedError:
                # The index was made anew in between: what the question means is asked in its space.
                continue
            if with_snippets:
                found = replace(found, hits=[self._with_snippet(hit, terms) for hit in found.hits])
            self._metrics.searched(used.name.lower(), len(found.hits), time.perf_counter() - started)
            return found
        raise EmbeddingUnavailableError("the index is made anew time and again")

    async def _meaning(self, question: str) -> DenseVector | None:
        space = self._index.space
        if space is None or not self._meanings.enabled:
            return None
        with self._tracing.stage("retrieval.embed"):
            return await self._meanings.question(question, space)

    async def _page(
        self,
        visibility: Visibility,
        asked: QueryTerms | None,
        meaning: DenseVector | None,
        narrowing: Narrowing,
        limit: int,
        place: SearchPlace,
    ) -> Found:
        most = min(limit, PASSAGES_MOST - place.passages)
        for points_wanted in _depths(most, asked, place):
            query = IndexQuery(
                visibility,
                asked.terms if asked else None,
                points_wanted,
                narrowing,
                asked.nuances if asked else None,
                meaning,
            )
            points = await self._points(query)
            if len(points) == points_wanted < _POINTS and points[most - 1].score == points[-1].score:
                continue
            hits, position = await self._hits(visibility, points, place.position, most)
            if len(hits) == most or len(points) < points_wanted or position - place.position == len(hits):
                break
            # A document is being changed: the index has points that the database does not know yet, or no more. They
            # have taken the places of others, or of the same document's new ones, so more is asked for.
        passages = place.passages + len(hits)
        ended = position >= len(points) or passages >= PASSAGES_MOST
        return Found(hits, place.mode, None if ended else SearchPlace(place.mode, position, passages))

    async def _points(self, query: IndexQuery) -> list[ScoredPoint]:
        attributes = {
            "parley.retrieval.terms": len(query.terms.indices) if query.terms else 0,
            "parley.retrieval.by_meaning": query.meaning is not None,
        }
        with self._tracing.stage("retrieval.index.search", attributes) as stage:
            points = await self._index.search(query)
            stage.record({"parley.retrieval.points": len(points)})
        # Equal scores come in the order of the documents, so that the same question has the same answer.
        return sorted(points, key=lambda point: (-point.score, point.document_id, point.number))

    async def _hits(
        self, visibility: Visibility, points: Sequence[ScoredPoint], position: int, most: int
    ) -> tuple[list[Hit], int]:
        """As many hits as wanted from a position on, and the position after the last of them."""
        hits: list[Hit] = []
        with self._tracing.stage("retrieval.store.passages") as stage:
            while position < len(points) and len(hits) < most:
                window = points[position : position + most - len(hits)]
                passages = await self._passages(visibility, [point.chunk_id for point in window])
                by_id = {passage.chunk.chunk_id: passage for passage in passages}
                hits += [Hit(by_id[point.chunk_id], point.score, None) for point in window if point.chunk_id in by_id]
                position += len(window)
            stage.record({"parley.retrieval.passages": len(hits)})
        return hits, position

    async def _passages(self, visibility: Visibility, chunk_ids: Sequence[UUID]) -> list[Passage]:
        passages = list(await self._store.passages(visibility, chunk_ids))
        if visibility.include_items and self._items is not None:
            # What is of a document is of no item: most often nothing is left to ask for.
            found = {passage.chunk.chunk_id for passage in passages}
            rest = [chunk_id for chunk_id in chunk_ids if chunk_id not in found]
            passages += await self._items.passages(visibility.user_id, rest)
        return passages

    def _with_snippet(self, hit: Hit, asked: QueryTerms | None) -> Hit:
        wanted = frozenset(asked.terms.indices if asked else ())
        snippet = snippet_of(hit.passage.chunk.text, lambda word: self._encoder.term(word) in wanted)
        return replace(hit, snippet=snippet)


def _depths(most: int, asked: QueryTerms | None, place: SearchPlace) -> list[int]:
    """How many points are asked for, one time after the other until they are enough."""
    depths = [_POINTS * 4**times for times in range(_TRIES)]
    few = most + _MORE_POINTS
    # What is near by its meaning alone is not found exactly: how deep is searched may change what is found first.
    return [few, *depths] if asked is not None and not place.position and few < _POINTS else depths


def _used(wanted: SearchMode, asked: QueryTerms | None, meaning: DenseVector | None) -> SearchMode:
    if meaning is None:
        return SearchMode.KEYWORD
    # A question without a word has a meaning at most.
    return SearchMode.SEMANTIC if asked is None else wanted
