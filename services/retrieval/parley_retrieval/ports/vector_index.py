"""The index of chunks: which chunks fit a query, for one user.

It holds vectors and the facts it filters by, no text. The database is the truth; the index is made from it and can be
made again. A query names a `Visibility`, so that none without a user can be said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.fusion import fused
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.domain.narrowing import EVERYTHING, Narrowing
from parley_retrieval.domain.visibility import Visibility

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class IndexPoint:
    """A chunk as the index keeps it."""

    chunk_id: UUID
    """Names the point: writing it again replaces it."""
    owner_id: str
    """Whose it is: a user, or `shared`. Never empty."""
    document_id: str
    """The chunk's document."""
    project: str
    """The document's project; may be empty."""
    number: int
    """The chunk's place in the document."""
    content_sha256: str
    """Of the chunk's text."""
    terms: SparseVector
    """BM25 weights. Never empty."""
    meaning: DenseVector | None = None
    """What the chunk means; None where nothing was embedded yet. An index of another space keeps the point without it."""
    media_type: MediaType = MediaType.MARKDOWN
    """The document's kind."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The document's labels."""
    update_time: datetime = _EPOCH
    """When the document was changed, UTC."""

    def __post_init__(self) -> None:
        """Refuses a point that nobody, or everybody, would own."""
        if not self.owner_id or not self.document_id:
            raise ValueError("a point has an owner and a document")
        if not self.terms.indices:
            raise ValueError("a point without terms cannot be found")


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """What is asked of the index: by words, by meaning, or by both, fused as domain/fusion.py says."""

    visibility: Visibility
    """Whose chunks are looked at. The rarity of terms is counted among these, too."""
    terms: SparseVector | None
    """The query's terms; never an empty vector. A point fits when it has one of them."""
    limit: int
    """How many points at most, 1 or more."""
    narrowing: Narrowing = EVERYTHING
    """Which documents' chunks are looked at."""
    nuances: SparseVector | None = None
    """Further terms, which tell points that fit apart and make none fit. None of them is among `terms`."""
    meaning: DenseVector | None = None
    """What the query means, in the index's space. Points that are near it fit, whatever their words."""

    def __post_init__(self) -> None:
        """Refuses what has no answer."""
        if self.terms is None and self.meaning is None:
            raise ValueError("a query asks by words or by meaning")
        if self.terms is not None and not self.terms.indices:
            raise ValueError("a query without terms has no answer")
        if self.nuances is not None and (
            self.terms is None or not set(self.nuances.indices).isdisjoint(self.terms.indices)
        ):
            raise ValueError("a nuance is no term of the query")
        if self.limit < 1:
            raise ValueError("a query asks for at least one point")


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """A point that fits."""

    chunk_id: UUID
    """The chunk."""
    score: float
    """Above 0, higher is better."""
    document_id: str = ""
    """The chunk's document."""
    number: int = 0
    """The chunk's place in it."""


def one_order(legs: Sequence[Sequence[ScoredPoint]], limit: int) -> list[ScoredPoint]:
    """What was found, best first: by words or by meaning as it is, by words and by meaning (in this order) fused."""
    if len(legs) == 1:
        return list(legs[0])
    by_words, by_meaning = legs
    scores = fused(
        {point.chunk_id: point.score for point in by_words}, {point.chunk_id: point.score for point in by_meaning}
    )
    points = {point.chunk_id: point for leg in legs for point in leg}
    best = sorted(points.values(), key=lambda point: (-scores[point.chunk_id], point.document_id, point.number))
    return [replace(point, score=scores[point.chunk_id]) for point in best[:limit]]


class VectorIndex(Protocol):
    """Finds and keeps points. What a call wrote is found by every later call and survives the process's death.

    Every call raises `IndexFailedError` when the engine fails. A failed call may have been done in part.
    """

    @property
    def space(self) -> Space | None:
        """What its dense vectors are of. None when it keeps none."""
        ...

    async def search(self, query: IndexQuery) -> Sequence[ScoredPoint]:
        """The points that fit best, best first; none of score 0.

        Raises SpaceChangedError when the query's meaning is of another space than the index's.
        """
        ...

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """Writes points, replacing those of the same id."""
        ...

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        """Takes points out. Those that are not there are no error."""
        ...

    async def weigh(self, document_id: str, terms: Mapping[UUID, SparseVector]) -> None:
        """Gives points of a document other terms, and leaves the rest of them as it is. Those that are not there are no error."""
        ...

    async def chunks_of_document(self, document_id: str) -> set[UUID]:
        """The ids of a document's points."""
        ...

    async def chunks_of_owners(self, owner_ids: Collection[str]) -> set[UUID]:
        """The ids of all points of these owners; none when there is no owner."""
        ...


class IndexUpkeep(Protocol):
    """What keeps an index in step with the database: for the service itself, never for a user's call."""

    async def chunk_ids(self) -> set[UUID]:
        """The ids of all points."""
        ...

    async def chunk_ids_without_meaning(self) -> set[UUID]:
        """The ids of the points that have no dense vector. All of them when the index keeps none."""
        ...

    async def flush(self) -> None:
        """Returns when everything written before survives a loss of power, too."""
        ...

    async def reset(self) -> None:
        """Empties the index, also one that cannot be read."""
        ...


class Index(VectorIndex, IndexUpkeep, Protocol):
    """Both sides of one index."""


class IndexShelf(Protocol):
    """The generations of an index: the one that answers, and at times the next one, which is being made.

    A generation is of one space for ever. What was written into either survives the process's death, and so does the fact that one is
    being made.
    """

    @property
    def current(self) -> Index:
        """The one that answers."""
        ...

    @property
    def next(self) -> Index | None:
        """The one that is being made; None when there is none."""
        ...

    async def refresh(self) -> None:
        """Looks again which generation answers: another process may have promoted one."""
        ...

    async def begin(self, space: Space) -> None:
        """Opens the next generation: what an earlier process has left of one of this space, else an empty one.

        Any other that was being made is dropped.
        """
        ...

    async def promote(self) -> None:
        """Lets the next generation answer, for good and at once, and drops the one that did."""
        ...

    async def abandon(self) -> None:
        """Drops the next generation, also one that an earlier process left."""
        ...
