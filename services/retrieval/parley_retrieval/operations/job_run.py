"""One attempt at a job: from the stage that it has behind it, through the stages that are left.

What a stage made is stored before the job says that it is behind it: whoever goes on, goes on there. Nothing is written of a job that
another has taken over.
"""

from __future__ import annotations

import asyncio
import json
import logging
from array import array
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from parley_retrieval.domain.chunks import Chunk, chunk_id, meaning_text
from parley_retrieval.domain.documents import TITLE_CHARACTERS, Document, MediaType, sha256, title_of
from parley_retrieval.domain.errors import (
    EmbeddingRefusedError,
    EmbeddingUnavailableError,
    JobLostError,
    TooManyDocumentsError,
)
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import (
    MOST_FAILED_ATTEMPTS,
    FailureReason,
    Job,
    JobClaim,
    JobFailure,
    JobStage,
    JobState,
    StageProgress,
    retry_delay,
)
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.domain.outline import Heading
from parley_retrieval.operations.indexing import BATCH_CHUNKS, Indexing
from parley_retrieval.operations.job_board import JobBoard
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.ports.blob_store import FILE, BlobStore
from parley_retrieval.ports.document_store import DocumentStore
from parley_retrieval.ports.file_reader import FileReader
from parley_retrieval.ports.job_store import JobLeases
from parley_retrieval.ports.metrics import Metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")

TEXT = "text.json"
"""What was read out of the file."""
CHUNKS = "chunks.json"
"""How the text is cut."""


class Stop(Enum):
    """Why a run ends before its job does."""

    CANCELLED = "cancelled"
    LOST = "lost"
    SHUTDOWN = "shutdown"


class _StoppedError(Exception):
    """The run was told to stop."""


@dataclass(frozen=True, slots=True)
class JobTools:
    """What runs work with."""

    leases: JobLeases
    blobs: BlobStore
    reader: FileReader
    documents: DocumentStore
    indexing: Indexing
    meanings: Meanings
    board: JobBoard
    documents_per_user: int
    first_retry_seconds: float
    metrics: Metrics


class JobRun:
    """One claim of one job."""

    def __init__(self, job: Job, claim: JobClaim, tools: JobTools) -> None:
        """The job as it was claimed."""
        self.job = job
        self.claim = claim
        self._tools = tools
        self._stop: Stop | None = None
        self._stopped = asyncio.Event()
        self._unsaved = False
        self._saving = asyncio.Lock()

    def stop(self, reason: Stop) -> None:
        """Lets the run end soon. The first reason counts."""
        if self._stop is None:
            self._stop = reason
            self._stopped.set()

    async def work(self) -> None:
        """Works until the job has ended, waits for its next attempt, or is not ours any more."""
        try:
            await self._work()
        except JobLostError:
            logger.info("a job is another's now", extra={"job_id": self.job.job_id})
        finally:
            self._tools.board.changed(self.job.job_id)

    async def save(self) -> None:
        """Writes how far the job is, if that has changed."""
        async with self._saving:
            if self._unsaved:
                self._unsaved = False
                await self._tools.leases.save(self.claim, self.job)
                self._tools.board.changed(self.job.job_id)

    async def _work(self) -> None:
        try:
            if self.job.cancel_requested:
                self.stop(Stop.CANCELLED)
            elif self.job.failed_attempts >= MOST_FAILED_ATTEMPTS:
                await self._fail(FailureReason.INTERNAL, "Parley tried again and again, and failed.", retryable=True)
                return
            await self._stages()
        except _StoppedError:
            await self._end_early()
        except FileUnreadableError as error:
            await self._fail(error.reason, error.words, retryable=False)
        except TooManyDocumentsError as error:
            words = f"You have {error.limit:,} documents, which is as many as one user may have."
            await self._fail(FailureReason.LIMIT, words, retryable=True)
        except EmbeddingUnavailableError as error:
            words = "The embedding model does not answer now, or not with what can be used."
            logger.warning("a job waits for the embedding model", extra={"job_id": self.job.job_id}, exc_info=True)
            await self._postpone(FailureReason.EMBEDDING, words, least_seconds=error.retry_after_seconds or 0)
        except EmbeddingRefusedError as error:
            logger.warning("nothing can be embedded: %s", error.detail, extra={"job_id": self.job.job_id})
            await self._fail(FailureReason.EMBEDDING, error.words, retryable=True)
        except JobLostError:
            raise
        except Exception:
            logger.exception("a job failed", extra={"job_id": self.job.job_id, "stage": self.job.stage.value})
            await self._postpone(FailureReason.INTERNAL, "Parley failed. The cause is in its log.")

    async def _stages(self) -> None:
        self._look()
        found = await self._parsed()
        document = await asyncio.to_thread(_document, self.job, found)
        chunks = await self._cut(document)
        document = replace(document, chunk_count=len(chunks))
        await self._embed(document, chunks)
        await self._index(document, chunks)
        self._begin(JobStage.DONE, len(chunks), "chunks")
        await self._tools.indexing.flush()
        async with self._saving:
            self._end_of(JobStage.DONE, len(chunks))
            await self._tools.leases.save(self.claim, self.job)
            self._unsaved = False
            done = await self._tools.leases.finish(self.claim)
        if not done:
            self.stop(Stop.CANCELLED)
            self._look()
        self._tools.metrics.job_ended(JobState.DONE)
        await self._tools.blobs.remove(self.job.owner_id, self.job.job_id, *self._made(len(chunks)))

    async def _parsed(self) -> FileText:
        owner_id, job_id = self.job.owner_id, self.job.job_id
        if self.job.stage.place >= JobStage.PARSED.place:
            stored = await self._tools.blobs.read(owner_id, job_id, TEXT)
            if stored is not None:
                return await asyncio.to_thread(_from_json, stored)
            self._back_to(JobStage.RECEIVED)
        self._begin(JobStage.PARSED, 0, "characters")
        await self.save()

        async def progress(done: int, total: int, unit: str) -> None:
            self._tell(JobStage.PARSED, done, total, unit)

        file = self._tools.blobs.path(owner_id, job_id, FILE)
        found = await self._unless_stopped(self._tools.reader.read(file, self.job.facts.media_type, progress))
        title = self.job.facts.title.strip() or found.title or self.job.facts.filename.strip()
        if not title:
            title = await asyncio.to_thread(title_of, found.text, found.media_type)
        self.job = replace(self.job, title=title[:TITLE_CHARACTERS], media_type=found.media_type)
        await self._tools.blobs.write(owner_id, job_id, TEXT, await asyncio.to_thread(_to_json, found))
        if found.page_starts:
            await self._pass(JobStage.PARSED, len(found.page_starts), "pages")
        else:
            await self._pass(JobStage.PARSED, len(found.text), "characters")
        return found

    async def _cut(self, document: Document) -> list[Chunk]:
        owner_id, job_id = self.job.owner_id, self.job.job_id
        if self.job.stage.place >= JobStage.CHUNKED.place:
            stored = await self._tools.blobs.read(owner_id, job_id, CHUNKS)
            if stored is not None:
                return await asyncio.to_thread(_chunks, document, stored)
            self._back_to(JobStage.PARSED)
        self._begin(JobStage.CHUNKED, 0, "chunks")
        chunks = await self._tools.indexing.cut(document)
        places = [(chunk.start, chunk.end, chunk.heading, chunk.page_number) for chunk in chunks]
        stored = json.dumps(places, ensure_ascii=False).encode()
        await self._tools.blobs.write(owner_id, job_id, CHUNKS, stored)
        await self._pass(JobStage.CHUNKED, len(chunks), "chunks")
        return chunks

    async def _embed(self, document: Document, chunks: Sequence[Chunk]) -> None:
        if self.job.stage.place >= JobStage.EMBEDDED.place:
            return
        owner_id, job_id = self.job.owner_id, self.job.job_id
        if not self._tools.meanings.enabled:
            self._begin(JobStage.EMBEDDED, 0, "chunks")
            await self._pass(JobStage.EMBEDDED, 0, "chunks")
            return
        self._begin(JobStage.EMBEDDED, len(chunks), "chunks")
        await self.save()
        for start in range(0, len(chunks), BATCH_CHUNKS):
            batch = chunks[start : start + BATCH_CHUNKS]
            if await self._tools.blobs.read(owner_id, job_id, _vectors_name(start)) is None:
                texts = [meaning_text(document, chunk) for chunk in batch]
                vectors = await self._unless_stopped(self._tools.meanings.passages(texts))
                await self._tools.blobs.write(owner_id, job_id, _vectors_name(start), _vectors_bytes(vectors))
            self._tell(JobStage.EMBEDDED, start + len(batch), len(chunks), "chunks")
        await self._pass(JobStage.EMBEDDED, len(chunks), "chunks")

    async def _index(self, document: Document, chunks: Sequence[Chunk]) -> None:
        if self.job.stage.place >= JobStage.INDEXED.place:
            # Another process may have written it, into an index that is not ours.
            await self._tools.indexing.ensure(document.document_id)
            return
        if await self._tools.documents.count(document.owner_id) >= self._tools.documents_per_user:
            raise TooManyDocumentsError(self._tools.documents_per_user)
        self._begin(JobStage.INDEXED, len(chunks), "chunks")
        await self.save()

        def written(done: int, total: int) -> None:
            # Raises in the middle of the writing when the run is stopped: what was written is taken back then.
            self._tell(JobStage.INDEXED, done, total, "chunks")

        await self._tools.indexing.put_chunks(
            document, chunks, claim=self.claim, meanings=self._stored_meanings, on_written=written
        )
        await self._pass(JobStage.INDEXED, len(chunks), "chunks")

    async def _stored_meanings(self, start: int) -> Sequence[DenseVector]:
        stored = await self._tools.blobs.read(self.job.owner_id, self.job.job_id, _vectors_name(start))
        return [] if stored is None else await asyncio.to_thread(_vectors, stored)

    def _look(self) -> None:
        if self._stop is not None:
            raise _StoppedError

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Does the work, and ends it as soon as the run is stopped."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise _StoppedError
            return working.result()
        finally:
            stopping.cancel()
            working.cancel()
            await asyncio.wait({working, stopping})

    def _begin(self, stage: JobStage, total: int, unit: str) -> None:
        self._look()
        self.job = self.job.with_progress(StageProgress(stage, 0, total, unit, datetime.now(UTC)))
        self._unsaved = True

    def _tell(self, stage: JobStage, done: int, total: int, unit: str) -> None:
        """Notes how far the stage is; who renews the lease writes it. Raises when the run is stopped."""
        self._look()
        start = self.job.stages[-1].start_time
        self.job = self.job.with_progress(StageProgress(stage, done, total, unit, start))
        self._unsaved = True

    async def _pass(self, stage: JobStage, done: int, unit: str) -> None:
        """The stage is behind the job: written before anything of the next one is, also when the run is stopped just now."""
        start = self.job.stages[-1].start_time
        self.job = self.job.with_progress(StageProgress(stage, done, done, unit, start))
        self._end_of(stage, done)
        await self.save()

    def _end_of(self, stage: JobStage, done: int) -> None:
        now = datetime.now(UTC)
        seconds = max(0.0, (now - self.job.stages[-1].start_time).total_seconds())
        self._tools.metrics.stage_ended(stage, seconds, done)
        last = replace(self.job.stages[-1], done=done, total=done, end_time=now)
        self.job = replace(self.job.with_progress(last), stage=stage)
        self._unsaved = True

    def _back_to(self, stage: JobStage) -> None:
        kept = tuple(one for one in self.job.stages if one.stage.place <= stage.place)
        self.job = replace(self.job, stage=stage, stages=kept)

    async def _end_early(self) -> None:
        if self._stop is Stop.SHUTDOWN:
            await self.save()
            await self._tools.leases.release(self.claim)
        elif self._stop is Stop.CANCELLED:
            await self._tools.indexing.remove(self.job.document_id)
            if self.job.stage.place >= JobStage.INDEXED.place:
                self._back_to(JobStage.EMBEDDED)
            else:
                self._back_to(self.job.stage)
            await self._tools.leases.end(self.claim, JobState.CANCELLED, None, self.job)
            self._tools.metrics.job_ended(JobState.CANCELLED)

    async def _fail(self, reason: FailureReason, words: str, *, retryable: bool) -> None:
        failure = JobFailure(reason, words, retryable)
        await self._tools.leases.end(self.claim, JobState.FAILED, failure, self.job)
        self._tools.metrics.job_ended(JobState.FAILED)

    async def _postpone(self, reason: FailureReason, words: str, *, least_seconds: float = 0) -> None:
        failed = self.job.failed_attempts + 1
        if failed >= MOST_FAILED_ATTEMPTS:
            await self._fail(reason, words, retryable=True)
            return
        await self.save()
        delay = retry_delay(failed, self._tools.first_retry_seconds, least_seconds)
        await self._tools.leases.postpone(self.claim, JobFailure(reason, words, retryable=True), delay)
        self._tools.metrics.job_ended(JobState.WAITING_FOR_RETRY)

    def _made(self, chunks: int) -> list[str]:
        return [TEXT, CHUNKS, *(_vectors_name(start) for start in range(0, chunks, BATCH_CHUNKS))]


def _document(job: Job, found: FileText) -> Document:
    return Document(
        document_id=job.document_id,
        owner_id=job.owner_id,
        title=job.title,
        text=found.text,
        media_type=found.media_type,
        project=job.facts.project,
        source_uri=job.facts.source_uri,
        content_sha256=sha256(found.text),
        size_bytes=len(found.text.encode()),
        chunk_count=0,
        create_time=job.create_time,
        update_time=datetime.now(UTC),
        filename=job.facts.filename,
        page_count=len(found.page_starts),
        labels=job.facts.labels,
        file_sha256=job.content_sha256,
        page_starts=found.page_starts,
        outline=found.outline,
    )


def _to_json(found: FileText) -> bytes:
    outline = [(one.level, one.title, one.start, one.end) for one in found.outline]
    stored = [found.media_type.value, found.title, found.page_starts, found.text, outline]
    return json.dumps(stored, ensure_ascii=False).encode()


def _from_json(stored: bytes) -> FileText:
    # A job that an older Parley began has no outline.
    media_type, title, page_starts, text, *rest = json.loads(stored)
    outline = tuple(Heading(*one) for one in (rest[0] if rest else ()))
    return FileText(MediaType(media_type), title, text, tuple(page_starts), outline)


def _chunks(document: Document, stored: bytes) -> list[Chunk]:
    text = document.text or ""
    return [
        Chunk(chunk_id(document, number), number, start, end, heading, text[start:end], page)
        for number, (start, end, heading, page) in enumerate(json.loads(stored))
    ]


def _vectors_name(start: int) -> str:
    return f"vectors.{start}"


def _vectors_bytes(vectors: Sequence[DenseVector]) -> bytes:
    space = vectors[0].space
    head = json.dumps({"model": space.model, "dimensions": space.dimensions}).encode()
    return head + b"\n" + b"".join(vector.values.tobytes() for vector in vectors)


def _vectors(stored: bytes) -> list[DenseVector]:
    head, _, body = stored.partition(b"\n")
    space = Space(**json.loads(head))
    values = array("f", body)
    size = space.dimensions
    return [DenseVector(space, values[start : start + size]) for start in range(0, len(values), size)]


MakeRun = Callable[[Job, JobClaim], JobRun]
"""Makes the run of a claimed job."""
