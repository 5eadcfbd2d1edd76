"""Compares what the database has of a user with what the index and the folder of files have, both ways, and mends what differs.

Nothing is locked for it. What differs is looked at again when every write that was under way at the first look has ended: what differs
then, too, differs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

from parley_retrieval.domain.visibility import items_owner
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.ingestion import Ingestion
from parley_retrieval.ports.document_store import IndexJournal
from parley_retrieval.ports.vector_index import VectorIndex

logger = logging.getLogger(__name__)

EXAMPLES = 100
"""How many of the things that differ are named."""
_WRITES_SECONDS = 60.0
"""How long is waited for writes that are under way."""
_YOUNG = timedelta(minutes=1)
"""So long a file may be there before its job is."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How database, index and files agree."""

    chunks: int
    """Of the user's documents and items in the database."""
    points: int
    """Of the user in the index."""
    orphaned_points: int
    """Points without a chunk."""
    missing_points: int
    """Chunks without a point."""
    orphaned_files: int
    """Files without a job."""
    examples: Sequence[str]
    """Some of them by their ids; files as `file:` and their digest."""
    repaired: bool
    """Whether something differed and all of it was mended."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What there is of a user at one time."""

    chunks: dict[UUID, str]
    points: AbstractSet[UUID]
    files: AbstractSet[str]

    @property
    def orphaned(self) -> AbstractSet[UUID]:
        return self.points - self.chunks.keys()

    @property
    def missing(self) -> AbstractSet[UUID]:
        return self.chunks.keys() - self.points


class Auditing:
    """The use case."""

    def __init__(self, journal: IndexJournal, index: VectorIndex, indexing: Indexing, ingestion: Ingestion) -> None:
        """All of one service."""
        self._journal = journal
        self._index = index
        self._indexing = indexing
        self._ingestion = ingestion
        # One at a time for each user: it reads all that the user has.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def audit(self, user_id: str, *, repair: bool) -> Audit:
        """Compares, and mends when told to. What cannot be mended for certain stays as it is."""
        async with self._locks.setdefault(user_id, asyncio.Lock()):
            return await self._audit(user_id, repair=repair)

    async def _audit(self, user_id: str, *, repair: bool) -> Audit:
        look = await self._look(user_id)
        orphaned, missing, files = look.orphaned, look.missing, look.files
        is_quiet = True
        if orphaned or missing or files:
            is_quiet = await self._indexing.wait_for_writes(_WRITES_SECONDS)
            look = await self._look(user_id)
            orphaned, missing, files = orphaned & look.orphaned, missing & look.missing, files & look.files
        # Named before they are mended: a file that is deleted has no digest.
        examples = [str(chunk_id) for chunk_id in sorted(orphaned | missing)[:EXAMPLES]]
        named = sorted(files)[: EXAMPLES - len(examples)]
        examples += [f"file:{await self._ingestion.digest(user_id, job_id)}" for job_id in named]
        differs = bool(orphaned or missing or files)
        repaired = False
        if repair and differs and is_quiet:
            repaired = await self._repair(user_id, orphaned, {look.chunks[chunk_id] for chunk_id in missing}, files)
            counts = {"orphaned": len(orphaned), "missing": len(missing), "files": len(files)}
            logger.info("what differed between database, index and files was mended", extra=counts)
        return Audit(
            chunks=len(look.chunks),
            points=len(look.points),
            orphaned_points=len(orphaned),
            missing_points=len(missing),
            orphaned_files=len(files),
            examples=examples,
            repaired=repaired,
        )

    async def _look(self, user_id: str) -> _Look:
        chunks = await self._journal.chunk_documents_of(user_id)
        points = await self._index.chunks_of_owners((user_id, items_owner(user_id)))
        return _Look(chunks, points, (await self._ingestion.stray_files(user_id)).keys())

    async def _repair(
        self, user_id: str, orphaned: AbstractSet[UUID], behind: AbstractSet[str], files: AbstractSet[str]
    ) -> bool:
        await self._index.remove(orphaned)
        # A chunk is called after its text: who writes the same text again in this moment has the same points.
        again = {
            document_id
            for chunk_id, document_id in (await self._journal.chunk_documents_of(user_id)).items()
            if chunk_id in orphaned
        }
        for document_id in sorted(behind | again):
            await self._indexing.ensure(document_id)
        strays = await self._ingestion.stray_files(user_id)
        old = datetime.now(UTC) - _YOUNG
        for job_id in files & strays.keys():
            if strays[job_id] <= old:
                await self._ingestion.discard(user_id, job_id)
        return not files & (await self._ingestion.stray_files(user_id)).keys()
