"""The index of chunks: which chunks fit a query, for one user.

It holds vectors and the facts it filters by, no text. The database is the truth; the index is made from it and can be
made again. A query names a `Visibility`, so that none without a user can be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.visibility import Visibility


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

    def __post_init__(self) -> None:
        """Refuses a point that nobody, or everybody, would own."""
        if not self.owner_id or not self.document_id:
            raise ValueError("a point has an owner and a document")
        if not self.terms.indices:
            raise ValueError("a point without terms cannot be found")


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """What is asked of the index."""

    visibility: Visibility
    """Whose chunks are looked at. The rarity of terms is counted among these, too."""
    terms: SparseVector
    """The query's terms. Never empty. A point fits when it has one of them."""
    limit: int
    """How many points at most, 1 or more."""
    project: str = ""
    """Only chunks of this project's documents; of all when empty."""
    nuances: SparseVector | None = None
    """Further terms, which tell points that fit apart and make none fit. None of them is among `terms`."""

    def __post_init__(self) -> None:
        """Refuses what has no answer."""
        if not self.terms.indices:
            raise ValueError("a query without terms has no answer")
        if self.nuances is not None and not set(self.nuances.indices).isdisjoint(self.terms.indices):
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


class VectorIndex(Protocol):
    """Finds and keeps points. What a call wrote is found by every later call and survives the process's death.

    Every call raises `IndexFailedError` when the engine fails. A failed call may have been done in part.
    """

    async def search(self, query: IndexQuery) -> Sequence[ScoredPoint]:
        """The points that fit best, best first; none of score 0."""
        ...

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """Writes points, replacing those of the same id."""
        ...

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        """Takes points out. Those that are not there are no error."""
        ...

    async def chunks_of_document(self, document_id: str) -> set[UUID]:
        """The ids of a document's points."""
        ...


class IndexUpkeep(Protocol):
    """What keeps an index in step with the database: for the service itself, never for a user's call."""

    async def chunk_ids(self) -> set[UUID]:
        """The ids of all points."""
        ...

    async def flush(self) -> None:
        """Returns when everything written before survives a loss of power, too."""
        ...

    async def reset(self) -> None:
        """Empties the index, also one that cannot be read."""
        ...
