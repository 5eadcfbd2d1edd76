"""`JobStore` in the SQL database: jobs as their users see them."""

from __future__ import annotations

import json
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from parley_shared.sql import Database
from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_retrieval.adapters.sql_job_rows import progress_values, queue, to_job
from parley_retrieval.adapters.sql_schema import document_versions, documents, files, job_owners, jobs
from parley_retrieval.domain.errors import TooManyBytesError, TooManyDocumentsError, TooManyJobsError
from parley_retrieval.domain.jobs import Job, JobCounts, JobStage, JobState, Usage, UserLimits
from parley_retrieval.ports.job_store import Added, JobCursor

_UNFINISHED = tuple(state.value for state in JobState if not state.ended)
_AGAIN = (JobState.FAILED.value, JobState.CANCELLED.value)


class SqlJobStore:
    """The port `JobStore`, on SQLite and on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """The database has the newest schema."""
        self._database = database

    async def add(self, job: Job, limits: UserLimits) -> Added:
        """See `JobStore`."""
        same_file = and_(files.c.owner_id == job.owner_id, files.c.content_sha256 == job.content_sha256)
        async with self._database.write() as connection:
            await self._wait_for_owner(connection, job.owner_id)
            known = (await connection.execute(select(jobs).join(files).where(same_file))).one_or_none()
            if known is not None and known.state not in _AGAIN:
                return Added(to_job(known), duplicate=True)
            if known is not None:
                await connection.execute(delete(files).where(same_file))
            usage = await self._usage(connection, job.owner_id)
            if usage.unfinished_jobs >= limits.unfinished_jobs:
                raise TooManyJobsError(limits.unfinished_jobs)
            if usage.documents >= limits.documents:
                raise TooManyDocumentsError(limits.documents)
            if usage.bytes + job.size_bytes > limits.bytes:
                raise TooManyBytesError(limits.bytes)
            await connection.execute(insert(jobs).values(_values(job)))
            await connection.execute(
                insert(files).values(
                    owner_id=job.owner_id,
                    content_sha256=job.content_sha256,
                    job_id=job.job_id,
                    size_bytes=job.size_bytes,
                )
            )
        return Added(job, duplicate=False, superseded_job_id=known.job_id if known is not None else "")

    async def usage(self, owner_id: str) -> Usage:
        """See `JobStore`."""
        async with self._database.read() as connection:
            return await self._usage(connection, owner_id)

    async def find(self, owner_id: str, job_id: str) -> Job | None:
        """See `JobStore`."""
        statement = select(jobs).where(jobs.c.job_id == job_id, jobs.c.owner_id == owner_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else to_job(row)

    async def find_of_document(self, owner_id: str, document_id: str) -> Job | None:
        """See `JobStore`."""
        statement = (
            select(jobs).join(files).where(jobs.c.owner_id == owner_id, jobs.c.document_id == document_id).limit(1)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else to_job(row)

    async def page(
        self, owner_id: str, states: AbstractSet[JobState], after: JobCursor | None, limit: int
    ) -> list[Job]:
        """See `JobStore`."""
        statement = (
            select(jobs)
            .where(jobs.c.owner_id == owner_id)
            .order_by(jobs.c.create_time.desc(), jobs.c.job_id.desc())
            .limit(limit)
        )
        if states:
            statement = statement.where(jobs.c.state.in_([state.value for state in states]))
        if after:
            same_time = and_(jobs.c.create_time == after.create_time, jobs.c.job_id < after.job_id)
            statement = statement.where(or_(jobs.c.create_time < after.create_time, same_time))
        async with self._database.read() as connection:
            return [to_job(row) for row in await connection.execute(statement)]

    async def queue_places(self, job_ids: Collection[str]) -> dict[str, int]:
        """See `JobStore`."""
        if not job_ids:
            return {}
        places = queue(self._database)
        statement = select(places.c.job_id, places.c.place).where(places.c.job_id.in_(job_ids))
        async with self._database.read() as connection:
            return {row.job_id: row.place for row in await connection.execute(statement)}

    async def counts(self) -> JobCounts:
        """See `JobStore`."""
        statement = select(jobs.c.state, func.count()).where(jobs.c.state.in_(_UNFINISHED)).group_by(jobs.c.state)
        async with self._database.read() as connection:
            found = {state: int(number) for state, number in await connection.execute(statement)}
        running = found.pop(JobState.RUNNING.value, 0)
        return JobCounts(waiting=sum(found.values()), running=running)

    async def request_cancel(self, owner_id: str, job_id: str) -> bool:
        """See `JobStore`."""
        own = and_(jobs.c.job_id == job_id, jobs.c.owner_id == owner_id)
        waits = jobs.c.state.in_([JobState.QUEUED.value, JobState.WAITING_FOR_RETRY.value])
        now = datetime.now(UTC)
        cancelled = {"state": JobState.CANCELLED.value, "end_time": now, "update_time": now, "next_attempt_time": None}
        # What is in the index and in the database already, a worker has to take back.
        is_written = jobs.c.stage == JobStage.INDEXED.value
        taken_back = {"state": JobState.QUEUED.value, "cancel_request_time": now, "next_attempt_time": None}
        async with self._database.write() as connection:
            done = await connection.execute(update(jobs).where(own, waits, ~is_written).values(cancelled))
            if done.rowcount:
                return True
            await connection.execute(update(jobs).where(own, waits, is_written).values(taken_back))
            await connection.execute(
                update(jobs)
                .where(own, jobs.c.state == JobState.RUNNING.value, jobs.c.cancel_request_time.is_(None))
                .values(cancel_request_time=now)
            )
        return False

    async def queue_again(self, owner_id: str, job_id: str, limits: UserLimits) -> bool:
        """See `JobStore`."""
        has_file = select(files.c.job_id).where(files.c.job_id == job_id).exists()
        async with self._database.write() as connection:
            await self._wait_for_owner(connection, owner_id)
            again = await connection.execute(
                update(jobs)
                .where(jobs.c.job_id == job_id, jobs.c.owner_id == owner_id, jobs.c.state.in_(_AGAIN), has_file)
                .values(
                    state=JobState.QUEUED.value,
                    failed_attempts=0,
                    next_attempt_time=None,
                    cancel_request_time=None,
                    end_time=None,
                    update_time=datetime.now(UTC),
                )
            )
            usage = await self._usage(connection, owner_id)
            if again.rowcount and usage.unfinished_jobs > limits.unfinished_jobs:
                raise TooManyJobsError(limits.unfinished_jobs)
            return bool(again.rowcount)

    async def drop_file(self, owner_id: str, document_id: str) -> None:
        """See `JobStore`."""
        of_document = select(jobs.c.job_id).where(jobs.c.document_id == document_id, jobs.c.owner_id == owner_id)
        async with self._database.write() as connection:
            await connection.execute(delete(files).where(files.c.job_id.in_(of_document)))

    async def kept_files(self, owner_id: str = "") -> set[str]:
        """See `JobStore`."""
        statement = select(files.c.job_id)
        if owner_id:
            statement = statement.where(files.c.owner_id == owner_id)
        async with self._database.read() as connection:
            return set((await connection.scalars(statement)).all())

    async def _wait_for_owner(self, connection: AsyncConnection, owner_id: str) -> None:
        """Lets the calls of one user follow each other, so that what was counted still holds when it is written."""
        row = {"owner_id": owner_id, "last_turn": 0}
        if self._database.dialect == "sqlite":
            await connection.execute(sqlite.insert(job_owners).values(row).on_conflict_do_nothing())
        else:
            await connection.execute(postgresql.insert(job_owners).values(row).on_conflict_do_nothing())
        owner = select(job_owners.c.owner_id).where(job_owners.c.owner_id == owner_id)
        await connection.execute(owner.with_for_update())

    async def _usage(self, connection: AsyncConnection, owner_id: str) -> Usage:
        unfinished = and_(jobs.c.owner_id == owner_id, jobs.c.state.in_(_UNFINISHED))
        made = select(documents.c.document_id).where(documents.c.document_id == jobs.c.document_id).exists()
        to_come = select(func.count()).select_from(jobs).where(unfinished, ~made)
        there = select(func.count()).select_from(documents).where(documents.c.owner_id == owner_id)
        of_files = select(func.coalesce(func.sum(files.c.size_bytes), 0)).where(files.c.owner_id == owner_id)
        of_texts = select(func.coalesce(func.sum(documents.c.size_bytes), 0)).where(
            documents.c.owner_id == owner_id, documents.c.file_sha256 == ""
        )
        of_versions = (
            select(func.coalesce(func.sum(document_versions.c.size_bytes), 0))
            .join_from(document_versions, documents)
            .where(documents.c.owner_id == owner_id)
        )
        running = select(func.count()).select_from(jobs).where(unfinished)
        wanted = (there, to_come, of_files, of_texts, of_versions, running)
        counts = [int(await connection.scalar(count) or 0) for count in wanted]
        return Usage(documents=counts[0] + counts[1], bytes=sum(counts[2:5]), unfinished_jobs=counts[5])


def _values(job: Job) -> dict[str, object]:
    facts = job.facts
    return {
        "job_id": job.job_id,
        "owner_id": job.owner_id,
        "document_id": job.document_id,
        "filename": facts.filename,
        "project": facts.project,
        "source_uri": facts.source_uri,
        "labels": json.dumps(dict(facts.labels), ensure_ascii=False),
        "wanted_media_type": facts.media_type.value if facts.media_type else "",
        "size_bytes": job.size_bytes,
        "content_sha256": job.content_sha256,
        "state": job.state.value,
        "attempt_count": 0,
        "failed_attempts": 0,
        "failure": "",
        "worker_id": "",
        "fence": 0,
        "create_time": job.create_time,
        "update_time": job.update_time,
        **progress_values(job),
    }
