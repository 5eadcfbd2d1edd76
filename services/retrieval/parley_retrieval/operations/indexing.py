"""Changes documents in the database and in the index so that a reader sees the old state or the new one, never half.

The database is the truth. New points go into the index first, where nobody sees them because the database does not know
their chunks; then the database changes in one transaction; then old points leave the index. A journal in the
database says which documents the index was being changed for: what is open in it at a start is put right, and a
change stays open until the index has flushed it, so that a loss of power is put right as well. What the index failed to do is
tried again before each flush.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

from parley_retrieval.domain.chunks import Chunk, chunks_of, terms_text
from parley_retrieval.domain.documents import Document
from parley_retrieval.domain.errors import IndexFailedError
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.ports.document_store import DocumentStore, IndexJournal
from parley_retrieval.ports.text_splitter import TextSplitter
from parley_retrieval.ports.tracing import Tracing
from parley_retrieval.ports.vector_index import IndexPoint, IndexUpkeep, VectorIndex

logger = logging.getLogger(__name__)


class Indexing:
    """Writes documents: one change of a document at a time."""

    def __init__(
        self,
        documents: DocumentStore,
        journal: IndexJournal,
        index: VectorIndex,
        upkeep: IndexUpkeep,
        encoder: TermEncoder,
        split: TextSplitter,
        tracing: Tracing,
    ) -> None:
        """`documents` and `journal` are two sides of one database, `index` and `upkeep` of one index."""
        self._documents = documents
        self._journal = journal
        self._index = index
        self._upkeep = upkeep
        self._encoder = encoder
        self._split = split
        self._tracing = tracing
        self._unflushed: list[str] = []
        self._unfinished: dict[str, str] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def put(self, document: Document) -> Document:
        """Writes a document with its text, new or in place of what is under its id, and returns it with its chunk count.

        Raises DocumentExistsError when its owner has another one like it; nothing has changed then.
        """
        with self._tracing.stage("retrieval.cut") as stage:
            # A long text takes a second to cut and count: in a thread, so that other calls go on.
            chunks, points = await asyncio.to_thread(self._prepare, document)
            stage.record({"parley.retrieval.chunks": len(chunks)})
        document = replace(document, chunk_count=len(chunks))
        async with self._change(document.document_id):
            with self._tracing.stage("retrieval.index.write", {"parley.retrieval.chunks": len(chunks)}):
                await self._index.upsert(points)
            with self._tracing.stage("retrieval.store.write"):
                await self._documents.put(document, chunks)
            await self._remove_others(document.document_id, chunks)
        return document

    async def remove(self, document_id: str) -> None:
        """Deletes a document, its chunks and its points."""
        async with self._change(document_id):
            await self._documents.remove(document_id)
            await self._remove_others(document_id, [])

    async def recover(self) -> None:
        """Brings the index in step with the database, from whatever state the last process left. To be called first."""
        changes = await self._journal.open_changes()
        try:
            await self._compare(set(changes.values()))
        except IndexFailedError:
            logger.warning("the index cannot be read and is made anew from the database", exc_info=True)
            await self._upkeep.reset()
            await self._compare(set())
        self._unflushed.extend(changes)
        await self.flush()

    async def flush(self) -> None:
        """Repairs what the index failed to do, and closes the changes that are done once the index holds them for good.

        Raises IndexFailedError when it still fails; the changes stay open then.
        """
        await self._repair()
        done, self._unflushed = self._unflushed, []
        if not done:
            return
        try:
            await self._upkeep.flush()
            await self._journal.close_changes(done)
        except BaseException:
            self._unflushed.extend(done)
            raise

    @asynccontextmanager
    async def _change(self, document_id: str) -> AsyncIterator[None]:
        change_id = uuid.uuid4().hex
        async with self._lock(document_id):
            await self._journal.open_change(change_id, document_id)
            self._unfinished[change_id] = document_id
            try:
                yield
            except Exception:
                await self._restore(document_id)
                self._finish(change_id)
                raise
            self._finish(change_id)

    async def _repair(self) -> None:
        for change_id, document_id in list(self._unfinished.items()):
            async with self._lock(document_id):
                if change_id in self._unfinished:
                    await self._restore(document_id)
                    self._finish(change_id)

    def _finish(self, change_id: str) -> None:
        del self._unfinished[change_id]
        self._unflushed.append(change_id)

    def _lock(self, document_id: str) -> asyncio.Lock:
        return self._locks.setdefault(document_id, asyncio.Lock())

    async def _compare(self, doubtful: set[str]) -> None:
        indexed = await self._upkeep.chunk_ids()
        known = await self._journal.chunk_documents()
        await self._index.remove(indexed - known.keys())
        behind = doubtful | {known[chunk_id] for chunk_id in known.keys() - indexed}
        for document_id in sorted(behind):
            await self._restore(document_id)
        if behind:
            logger.info("the index caught up with the database", extra={"documents": len(behind)})

    async def _restore(self, document_id: str) -> None:
        """Makes the index say what the database says of a document."""
        document = await self._journal.document(document_id)
        chunks = await self._journal.chunks(document_id) if document else []
        if document:
            await self._index.upsert(await asyncio.to_thread(self._points, document, chunks))
        await self._remove_others(document_id, chunks)

    async def _remove_others(self, document_id: str, chunks: Sequence[Chunk]) -> None:
        indexed = await self._index.chunks_of_document(document_id)
        await self._index.remove(indexed - {chunk.chunk_id for chunk in chunks})

    def _prepare(self, document: Document) -> tuple[list[Chunk], list[IndexPoint]]:
        chunks = chunks_of(document, self._split)
        return chunks, self._points(document, chunks)

    def _points(self, document: Document, chunks: Sequence[Chunk]) -> list[IndexPoint]:
        return [
            IndexPoint(
                chunk_id=chunk.chunk_id,
                owner_id=document.owner_id,
                document_id=document.document_id,
                project=document.project,
                number=chunk.number,
                content_sha256=chunk.content_sha256,
                terms=self._encoder.passage(terms_text(document, chunk)),
            )
            for chunk in chunks
        ]
