"""Changes documents in the database and in the index so that a reader sees the old state or the new one, never half.

The database is the truth. New points go into the index first, where nobody sees them because the database does not know
their chunks; then the database changes in one transaction; then old points leave the index. A journal in the
database says which documents the index was being changed for: what is open in it at a start is put right, and a
change stays open until the index has flushed it, so that a loss of power is put right as well. What the index failed to do is
tried again before each flush.

Points are written with their meaning when it can be had at once, and without it when not: then they are found by their words, and
`reindexing.py` adds it later. A caller that cannot live with that says `must_embed`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID
from weakref import WeakValueDictionary

from parley_retrieval.domain.bm25 import AVERAGE_LENGTH
from parley_retrieval.domain.chunks import Chunk, chunks_of, meaning_text, terms_text
from parley_retrieval.domain.documents import Document
from parley_retrieval.domain.errors import EmbeddingRefusedError, EmbeddingUnavailableError, IndexFailedError
from parley_retrieval.domain.items import is_item_document_id
from parley_retrieval.domain.jobs import JobClaim
from parley_retrieval.domain.meaning import DenseVector
from parley_retrieval.operations.learned_lengths import LearnedLengths
from parley_retrieval.operations.meanings import PASSAGES_SECONDS, WAITING_CALLER_SECONDS, Meanings
from parley_retrieval.operations.terms import PassageTerms, TermEncoder
from parley_retrieval.ports.document_store import DocumentStore, IndexJournal
from parley_retrieval.ports.text_splitter import TextSplitter
from parley_retrieval.ports.tracing import Tracing
from parley_retrieval.ports.vector_index import IndexPoint, IndexUpkeep, VectorIndex

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
BATCH_CHUNKS = 64
"""So many chunks are embedded and written at once: vectors are large, and a book has thousands."""

StoredMeanings = Callable[[int], Awaitable[Sequence[DenseVector]]]
"""The vectors of the batch of chunks that starts at a number; none where nothing was embedded."""


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
        meanings: Meanings | None = None,
        lengths: LearnedLengths | None = None,
    ) -> None:
        """`documents` and `journal` are two sides of one database, `index` and `upkeep` of one index. Without `meanings` nothing is
        embedded, without `lengths` every passage is weighed by the usual length."""
        self._documents = documents
        self._journal = journal
        self._index = index
        self._upkeep = upkeep
        self._encoder = encoder
        self._split = split
        self._tracing = tracing
        self._meanings = meanings or Meanings(None)
        self._lengths = lengths
        self._unflushed: list[str] = []
        self._flushed_now: frozenset[str] = frozenset()
        self._unfinished: dict[str, str] = {}
        self._flushing = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def put(
        self,
        document: Document,
        *,
        must_embed: bool = False,
        on_written: Callable[[int, int], None] | None = None,
    ) -> Document:
        """Writes a document with its text, new or in place of what is under its id, and returns it with its chunk count.

        `on_written` is told how many of how many chunks are in the index. Raises DocumentExistsError when its owner has another one like
        it, and, with `must_embed`, EmbeddingUnavailableError or EmbeddingRefusedError; nothing has changed then.
        """
        chunks = await self.cut(document)
        return await self.put_chunks(document, chunks, must_embed=must_embed, on_written=on_written)

    async def cut(self, document: Document) -> list[Chunk]:
        """The chunks of a document that has its text."""
        with self._tracing.stage("retrieval.cut") as stage:
            # A long text takes a second to cut and count: in a thread, so that other calls go on.
            chunks = await asyncio.to_thread(chunks_of, document, self._split)
            stage.record({"parley.retrieval.chunks": len(chunks)})
        return chunks

    async def put_chunks(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        *,
        must_embed: bool = False,
        meanings: StoredMeanings | None = None,
        on_written: Callable[[int, int], None] | None = None,
        claim: JobClaim | None = None,
        write: Callable[[Document, Sequence[Chunk]], Awaitable[None]] | None = None,
    ) -> Document:
        """Does what `put` does, for a document that is cut. With `meanings` nothing is embedded here.

        With a `claim`, that of the job that makes the document, the job has the document behind it in the same moment; raises JobLostError
        when it is another's. What `on_written` raises ends the writing. Nothing has changed then, either.

        With `write`, it is that which changes the database: for what is no document and kept elsewhere. What it raises ends the writing.
        """
        document = replace(document, chunk_count=len(chunks))
        async with self._change(document.document_id):
            with self._tracing.stage("retrieval.index.write", {"parley.retrieval.chunks": len(chunks)}):
                words = await self._write(
                    document, chunks, must_embed=must_embed, stored=meanings, on_written=on_written
                )
            with self._tracing.stage("retrieval.store.write"):
                if write is None:
                    await self._documents.put(document, chunks, claim)
                else:
                    await write(document, chunks)
            await self._remove_others(document.document_id, chunks)
        if self._lengths is not None and not is_item_document_id(document.document_id):
            self._lengths.wrote(document.owner_id, len(chunks), words)
        return document

    async def ensure(self, document_id: str) -> None:
        """Sees to it that the index has what the database says of a document."""
        async with self._change(document_id):
            known = {chunk.chunk_id for chunk in await self._journal.chunks(document_id)}
            if await self._index.chunks_of_document(document_id) != known:
                await self._restore(document_id)

    async def remove(self, document_id: str, *, write: Callable[[str], Awaitable[None]] | None = None) -> None:
        """Deletes a document, its chunks and its points.

        With `write`, it is that which changes the database, as in `put_chunks`. It may leave the document as it is.
        """
        async with self._change(document_id):
            if write is None:
                await self._documents.remove(document_id)
            else:
                await write(document_id)
            await self._remove_others(document_id, await self._journal.chunks(document_id) if write else [])

    async def measure(self, document_id: str) -> tuple[int, int]:
        """How many passages a document has, and how many words they have together."""
        _, said = await self._said(document_id)
        return len(said), sum(terms.length for terms in said.values())

    async def weigh(self, document_id: str) -> tuple[int, int]:
        """Weighs a document's points anew. Tells what `measure` does."""
        async with self._lock(document_id):
            document, said = await self._said(document_id)
            if document is not None:
                expected = await self._expected(document)
                await self._index.weigh(
                    document_id, {chunk_id: one.weighed(expected) for chunk_id, one in said.items()}
                )
        return len(said), sum(terms.length for terms in said.values())

    async def flush_weights(self) -> None:
        """Returns when the index holds what was weighed for good."""
        await self._upkeep.flush()

    async def wait_for_writes(self, seconds: float) -> bool:
        """Returns True when every change that is open now has been made, or False after so long.

        Those of other processes are in the journal until they are flushed.
        """
        own = set(self._unfinished)
        others = set(await self._journal.open_changes()) - own
        others -= self._unfinished.keys() | set(self._unflushed) | self._flushed_now
        end = asyncio.get_running_loop().time() + seconds
        while own & self._unfinished.keys() or others:
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
            if others:
                others &= set(await self._journal.open_changes())
        return True

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
        # Who comes while another flushes waits: its changes may be among those that are not yet done.
        async with self._flushing:
            await self._repair()
            done, self._unflushed = self._unflushed, []
            if not done:
                return
            self._flushed_now = frozenset(done)
            try:
                await self._upkeep.flush()
                await self._journal.close_changes(done)
            except BaseException:
                self._unflushed.extend(done)
                raise
            finally:
                self._flushed_now = frozenset()

    async def complete(self, document_id: str, chunk_ids: AbstractSet[UUID], index: VectorIndex) -> bool:
        """Writes those of a document's chunks, with their meaning, into one index. False when the document changed meanwhile.

        Raises EmbeddingUnavailableError and EmbeddingRefusedError. A document that is gone needs nothing: that is True.
        """
        document = await self._journal.document(document_id)
        if document is None:
            return True
        chunks = [chunk for chunk in await self._journal.chunks(document_id) if chunk.chunk_id in chunk_ids]
        for start in range(0, len(chunks), BATCH_CHUNKS):
            batch = chunks[start : start + BATCH_CHUNKS]
            meanings = await self._meanings.passages([meaning_text(document, chunk) for chunk in batch])
            if any(meaning.space != index.space for meaning in meanings):
                raise EmbeddingUnavailableError("the model became another one in the middle of the work")
            points, _ = await self._points(document, batch, meanings)
            # Embedding takes its time, and a change of the document need not wait for it: who was slower, looks again.
            async with self._lock(document_id):
                if await self._journal.document(document_id) != document:
                    return False
                await index.upsert(points)
        return True

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
            # Without their meaning: this happens at starts and after failures, when nobody should wait for a model.
            points, _ = await self._points(document, chunks)
            await self._index.upsert(points)
            self._meanings.behind.set()
        await self._remove_others(document_id, chunks)

    async def _remove_others(self, document_id: str, chunks: Sequence[Chunk]) -> None:
        indexed = await self._index.chunks_of_document(document_id)
        await self._index.remove(indexed - {chunk.chunk_id for chunk in chunks})

    async def _write(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        *,
        must_embed: bool,
        stored: StoredMeanings | None,
        on_written: Callable[[int, int], None] | None,
    ) -> int:
        """Writes the points, and tells how many words they have."""
        words = 0
        embeds = stored is None and self._meanings.enabled
        for start in range(0, len(chunks), BATCH_CHUNKS):
            batch = chunks[start : start + BATCH_CHUNKS]
            meanings: Sequence[DenseVector] = () if stored is None else await stored(start)
            if embeds:
                texts = [meaning_text(document, chunk) for chunk in batch]
                patience = PASSAGES_SECONDS if must_embed else WAITING_CALLER_SECONDS
                try:
                    meanings = await self._meanings.passages(texts, seconds=patience)
                except (EmbeddingUnavailableError, EmbeddingRefusedError) as error:
                    if must_embed:
                        raise
                    logger.warning("passages are indexed by their words alone for now: %s", error)
                    embeds = False
                    self._meanings.behind.set()
            points, more = await self._points(document, batch, meanings)
            words += more
            if meanings and meanings[0].space != self._index.space:
                # The model is another one than the index was made for.
                self._meanings.behind.set()
            await self._index.upsert(points)
            if on_written is not None:
                on_written(start + len(batch), len(chunks))

        return words

    async def _said(self, document_id: str) -> tuple[Document | None, dict[UUID, PassageTerms]]:
        """A document, and the terms of its chunks."""
        document = await self._journal.document(document_id)
        if document is None:
            return None, {}
        chunks = await self._journal.chunks(document_id)

        def said() -> dict[UUID, PassageTerms]:
            return {chunk.chunk_id: self._encoder.passage(terms_text(document, chunk)) for chunk in chunks}

        return document, await asyncio.to_thread(said)

    async def _expected(self, document: Document) -> float:
        """By what length a document's passages are weighed, words."""
        if self._lengths is None or is_item_document_id(document.document_id):
            # Items are short and of many kinds: a user's messages say nothing about their notes.
            return AVERAGE_LENGTH
        return await self._lengths.expected(document.owner_id)

    async def _points(
        self, document: Document, chunks: Sequence[Chunk], meanings: Sequence[DenseVector | None] = ()
    ) -> tuple[list[IndexPoint], int]:
        """The points of chunks, and how many words they have."""
        return await asyncio.to_thread(self._made, document, chunks, meanings, await self._expected(document))

    def _made(
        self, document: Document, chunks: Sequence[Chunk], meanings: Sequence[DenseVector | None], expected: float
    ) -> tuple[list[IndexPoint], int]:
        said = [self._encoder.passage(terms_text(document, chunk)) for chunk in chunks]
        points = [
            IndexPoint(
                chunk_id=chunk.chunk_id,
                owner_id=document.owner_id,
                document_id=document.document_id,
                project=document.project,
                number=chunk.number,
                content_sha256=chunk.content_sha256,
                terms=terms.weighed(expected),
                meaning=meaning,
                media_type=document.media_type,
                labels=document.labels,
                update_time=document.update_time,
            )
            for chunk, terms, meaning in zip(chunks, said, meanings or [None] * len(chunks), strict=True)
        ]
        return points, sum(terms.length for terms in said)
