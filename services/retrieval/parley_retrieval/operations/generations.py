"""The index as everybody else sees it: one that answers, though at times the next generation of it is being made beside.

Writes go into both, so that nothing is missing when the next one takes over. Not how the next one is filled (`reindexing.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar
from uuid import UUID

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.errors import IndexFailedError, SpaceChangedError
from parley_retrieval.domain.meaning import Space
from parley_retrieval.ports.vector_index import Index, IndexPoint, IndexQuery, IndexShelf, ScoredPoint

T = TypeVar("T")


class Generations:
    """`VectorIndex` and `IndexUpkeep` over what is on the shelf."""

    def __init__(self, shelf: IndexShelf) -> None:
        """The shelf is open."""
        self._shelf = shelf

    @property
    def space(self) -> Space | None:
        """See `VectorIndex`."""
        return self._shelf.current.space

    async def search(self, query: IndexQuery) -> Sequence[ScoredPoint]:
        """See `VectorIndex`. A search that the next generation overtakes is made again in that."""

        async def search() -> Sequence[ScoredPoint]:
            current = self._shelf.current
            if query.meaning is not None and query.meaning.space != current.space:
                raise SpaceChangedError
            return await current.search(query)

        return await self._tried(search)

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """See `VectorIndex`."""

        async def upsert() -> None:
            for index in self._all():
                await index.upsert(points)

        await self._tried(upsert)

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        """See `VectorIndex`."""

        async def remove() -> None:
            for index in self._all():
                await index.remove(chunk_ids)

        await self._tried(remove)

    async def weigh(self, document_id: str, terms: Mapping[UUID, SparseVector]) -> None:
        """See `VectorIndex`."""

        async def weigh() -> None:
            for index in self._all():
                await index.weigh(document_id, terms)

        await self._tried(weigh)

    async def chunks_of_document(self, document_id: str) -> set[UUID]:
        """See `VectorIndex`. Those of all generations, so that what is removed leaves all of them."""

        async def ids() -> set[UUID]:
            return set().union(*[await index.chunks_of_document(document_id) for index in self._all()])

        return await self._tried(ids)

    async def chunks_of_owners(self, owner_ids: Collection[str]) -> set[UUID]:
        """See `VectorIndex`. Those of the generation that answers."""
        return await self._tried(lambda: self._shelf.current.chunks_of_owners(owner_ids))

    async def chunk_ids(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        return await self._shelf.current.chunk_ids()

    async def chunk_ids_without_meaning(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        return await self._shelf.current.chunk_ids_without_meaning()

    async def flush(self) -> None:
        """See `IndexUpkeep`."""
        for index in self._all():
            await index.flush()

    async def reset(self) -> None:
        """See `IndexUpkeep`. The next generation is dropped, too."""
        await self._shelf.abandon()
        await self._shelf.current.reset()

    async def _tried(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does the work, and again when what it was done on was replaced in between. Everything here may be done twice."""
        while True:
            generations = self._all()
            try:
                return await work()
            except (IndexFailedError, RuntimeError):
                # RuntimeError: the thread of an index that was closed in between takes no more work.
                if self._all() == generations:
                    await self._shelf.refresh()
                if self._all() == generations:
                    raise

    def _all(self) -> list[Index]:
        return [index for index in (self._shelf.current, self._shelf.next) if index is not None]
