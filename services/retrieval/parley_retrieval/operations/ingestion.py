"""What a user does with files and jobs: hand in a file, look at its job, watch it, cancel it, begin it again."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

from parley_retrieval.domain.documents import new_document_id
from parley_retrieval.domain.errors import (
    FileTooLargeError,
    JobNotFoundError,
    JobStateError,
    JobStillRunsError,
    TooManyUploadsError,
)
from parley_retrieval.domain.jobs import (
    FILE_BYTES,
    FileFacts,
    Job,
    JobCounts,
    JobStage,
    JobState,
    StageProgress,
    Usage,
    UserLimits,
    new_job_id,
)
from parley_retrieval.operations.begun_writes import BegunWrites
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.job_board import JobBoard, wait
from parley_retrieval.ports.blob_store import FILE, BlobStore
from parley_retrieval.ports.job_store import Added, JobCursor, JobStore

_UPLOADS_PER_USER = 8
_LOOK_SECONDS = 0.5
_CANCEL_LOOK_SECONDS = 0.1
_CANCEL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as its user sees it."""

    job: Job
    """The job."""
    queue_place: int
    """How many jobs are taken before it, plus 1; 0 unless it is queued."""


class Ingestion:
    """The use cases. A write that was begun is finished, also when its caller has gone."""

    def __init__(
        self, store: JobStore, blobs: BlobStore, indexing: Indexing, board: JobBoard, *, limits: UserLimits
    ) -> None:
        """`limits` are those of each user."""
        self._store = store
        self._blobs = blobs
        self._indexing = indexing
        self._board = board
        self._limits = limits
        self._uploads: Counter[str] = Counter()
        self._writes = BegunWrites()

    async def counts(self) -> JobCounts:
        """How many jobs of all users have not ended."""
        return await self._store.counts()

    async def ingest(self, user_id: str, facts: FileFacts, parts: AsyncIterator[bytes]) -> tuple[Seen, bool]:
        """Stores a file and queues its job; the flag says whether there was one already.

        Raises FileTooLargeError, TooManyUploadsError, TooManyJobsError, TooManyDocumentsError, TooManyBytesError, and what `parts` raises:
        nothing is left of the file then.
        """
        if self._uploads[user_id] >= _UPLOADS_PER_USER:
            raise TooManyUploadsError(_UPLOADS_PER_USER)
        self._uploads[user_id] += 1
        try:
            added = await self._receive(user_id, facts, parts)
        finally:
            self._uploads[user_id] -= 1
            if not self._uploads[user_id]:
                del self._uploads[user_id]
        return await self._seen(added.job), added.duplicate

    async def get(self, user_id: str, job_id: str) -> Seen:
        """A job. Raises JobNotFoundError."""
        return await self._seen(await self._own(user_id, job_id))

    async def watch(self, user_id: str, job_id: str, *, again_seconds: float) -> AsyncIterator[Seen]:
        """The job as it is, and again whenever it changes, until it has ended; the last one again after so long without a change.

        Raises JobNotFoundError.
        """
        last: Seen | None = None
        sent = time.monotonic()
        with self._board.watching(job_id) as changed:
            while True:
                seen = await self.get(user_id, job_id)
                if seen != last or time.monotonic() - sent >= again_seconds:
                    last, sent = seen, time.monotonic()
                    yield seen
                if seen.job.state.ended:
                    return
                await wait(changed, min(_LOOK_SECONDS, again_seconds))

    async def page(
        self, user_id: str, states: AbstractSet[JobState], after: JobCursor | None, size: int
    ) -> tuple[Sequence[Seen], JobCursor | None]:
        """Jobs, newest first, and the cursor of the next page if there is one."""
        jobs = await self._store.page(user_id, states, after, size + 1)
        shown = jobs[:size]
        places = await self._store.queue_places([job.job_id for job in shown if job.state is JobState.QUEUED])
        seen = [Seen(job, places.get(job.job_id, 0)) for job in shown]
        more = len(jobs) > size
        return seen, JobCursor(shown[-1].create_time, shown[-1].job_id) if more else None

    async def cancel(self, user_id: str, job_id: str) -> tuple[Seen, bool]:
        """Cancels a job and returns when it has ended; the flag says whether this call did it.

        Raises JobNotFoundError, and JobStillRunsError when whoever runs it does not stop.
        """
        job = await self._own(user_id, job_id)
        if job.state.ended:
            return await self._seen(job), False
        await self._writes.finish(self._cancel(user_id, job_id))
        after = await self.get(user_id, job_id)
        return after, after.job.state is JobState.CANCELLED

    async def retry(self, user_id: str, job_id: str) -> Seen:
        """Begins a failed or cancelled job again. Raises JobNotFoundError, JobStateError, TooManyJobsError."""
        job = await self._own(user_id, job_id)
        if not await self._store.queue_again(user_id, job_id, self._limits):
            job = await self._own(user_id, job_id)
            ended_badly = job.state in {JobState.FAILED, JobState.CANCELLED}
            raise JobStateError(job_id, job.state.name, file_kept=not ended_badly)
        self._board.work.set()
        self._board.changed(job_id)
        return await self.get(user_id, job_id)

    async def forget(self, user_id: str, document_id: str) -> bool:
        """Deletes the file that a document is made of, and cancels its job. False when there is none. Raises JobStillRunsError."""
        job = await self._store.find_of_document(user_id, document_id)
        if job is None:
            return False
        if not job.state.ended:
            await self._cancel(user_id, job.job_id)
        await self._store.drop_file(user_id, document_id)
        await self._blobs.remove(user_id, job.job_id)
        return True

    async def usage(self, user_id: str) -> Usage:
        """What a user has."""
        return await self._store.usage(user_id)

    async def sweep(self) -> int:
        """Deletes files that no job has: what was left where a process died between two steps."""
        return await self._blobs.sweep(await self._store.kept_files())

    async def stray_files(self, user_id: str) -> dict[str, datetime]:
        """The jobs of which there are files of a user though no job has them, and when those were last changed, UTC.

        A young one may be of an upload whose job is about to be written.
        """
        found = await self._blobs.jobs_of(user_id)
        kept = await self._store.kept_files(user_id) if found else ()
        return {job_id: changed for job_id, changed in found.items() if job_id not in kept}

    async def digest(self, user_id: str, job_id: str) -> str:
        """SHA-256 of a job's file, 64 hexadecimal digits; the job's id when there is no file to be read."""
        job = await self._store.find(user_id, job_id)
        if job is not None:
            return job.content_sha256

        def digest() -> str:
            try:
                with self._blobs.path(user_id, job_id, FILE).open("rb") as stream:
                    return hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                return job_id

        return await asyncio.to_thread(digest)

    async def discard(self, user_id: str, job_id: str) -> None:
        """Deletes the files that no job has."""
        await self._blobs.remove(user_id, job_id)

    async def settle(self) -> None:
        """Returns when no write is under way."""
        await self._writes.settle()

    async def _receive(self, user_id: str, facts: FileFacts, parts: AsyncIterator[bytes]) -> Added:
        digest = hashlib.sha256()
        size = 0
        async with self._blobs.upload() as upload:
            start = datetime.now(UTC)
            async for part in parts:
                size += len(part)
                if size > FILE_BYTES:
                    raise FileTooLargeError(FILE_BYTES)
                await asyncio.to_thread(digest.update, part)
                await upload.write(part)
            now = datetime.now(UTC)
            received = StageProgress(JobStage.RECEIVED, size, size, "bytes", start, now)
            job = Job(
                job_id=new_job_id(),
                owner_id=user_id,
                document_id=new_document_id(),
                facts=facts,
                size_bytes=size,
                content_sha256=digest.hexdigest(),
                create_time=now,
                update_time=now,
                title=facts.title.strip(),
                stages=(received,),
            )

            async def keep() -> Added:
                await upload.keep(user_id, job.job_id)
                return await self._add(job)

            # What has begun here is finished, also when the caller goes in the middle of it.
            return await self._writes.finish(keep())

    async def _add(self, job: Job) -> Added:
        try:
            added = await self._store.add(job, self._limits)
        except BaseException:
            await self._blobs.remove(job.owner_id, job.job_id)
            raise
        if added.duplicate:
            await self._blobs.remove(job.owner_id, job.job_id)
        else:
            self._board.work.set()
        if added.superseded_job_id:
            await self._blobs.remove(job.owner_id, added.superseded_job_id)
        return added

    async def _cancel(self, user_id: str, job_id: str) -> None:
        end = time.monotonic() + _CANCEL_SECONDS
        with self._board.watching(job_id) as changed:
            while time.monotonic() < end:
                if await self._store.request_cancel(user_id, job_id):
                    self._board.changed(job_id)
                    return
                self._board.cancels.set()
                self._board.work.set()
                if (await self._own(user_id, job_id)).state.ended:
                    return
                await wait(changed, _CANCEL_LOOK_SECONDS)
        raise JobStillRunsError(job_id)

    async def _own(self, user_id: str, job_id: str) -> Job:
        job = await self._store.find(user_id, job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        return job

    async def _seen(self, job: Job) -> Seen:
        if job.state is not JobState.QUEUED:
            return Seen(job, 0)
        places = await self._store.queue_places([job.job_id])
        return Seen(job, places.get(job.job_id, 0))
