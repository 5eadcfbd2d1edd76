"""`JobLeases` in the SQL database: who works at which job, and what they write of it. Every write is fenced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from parley_shared.sql import Database
from sqlalchemy import case, func, or_, select, update

from parley_retrieval.adapters.sql_job_rows import (
    claimable,
    failure_text,
    held,
    later,
    next_jobs,
    progress_values,
    to_job,
)
from parley_retrieval.adapters.sql_schema import job_owners, jobs
from parley_retrieval.domain.errors import JobLostError
from parley_retrieval.domain.jobs import Job, JobClaim, JobFailure, JobState

_RUNNING = JobState.RUNNING.value
_SEVERAL = 16
"""How many jobs are looked at, where other processes take the first ones in the same moment."""


class SqlJobLeases:
    """The part of one worker process, on SQLite and on PostgreSQL."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        """The database has the newest schema."""
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._worker_id = f"wrk_{uuid4().hex}"

    async def free_all(self) -> None:
        """Frees every job that anybody had: for the only process of a database, at its start."""
        async with self._database.write() as connection:
            await connection.execute(
                update(jobs).where(jobs.c.state == _RUNNING).values(lease_expire_time=later(self._database))
            )

    async def claim(self) -> tuple[Job, JobClaim] | None:
        """See `JobLeases`."""
        several = next_jobs(self._database, _SEVERAL)
        async with self._database.read() as connection:
            # Mostly there is nothing to do, and then nothing is locked.
            if (await connection.execute(several.limit(1))).first() is None:
                return None
        async with self._database.write() as connection:
            order = list((await connection.scalars(several)).all())
            free = select(jobs.c.job_id).where(jobs.c.job_id.in_(order), claimable(self._database))
            mine = set((await connection.scalars(free.with_for_update(skip_locked=True))).all())
            job_id = next((job_id for job_id in order if job_id in mine), None)
            if job_id is None:
                return None
            taken = await connection.execute(
                update(jobs)
                .where(jobs.c.job_id == job_id)
                .values(
                    state=_RUNNING,
                    worker_id=self._worker_id,
                    fence=jobs.c.fence + 1,
                    lease_expire_time=later(self._database, self._lease),
                    attempt_count=jobs.c.attempt_count + 1,
                    # A worker died of it, perhaps: what kills its worker each time must come to an end.
                    failed_attempts=case(
                        (jobs.c.state == _RUNNING, jobs.c.failed_attempts + 1), else_=jobs.c.failed_attempts
                    ),
                    next_attempt_time=None,
                    update_time=datetime.now(UTC),
                )
                .returning(jobs)
            )
            row = taken.one()
            last = select(func.max(job_owners.c.last_turn) + 1).scalar_subquery()
            await connection.execute(
                update(job_owners).where(job_owners.c.owner_id == row.owner_id).values(last_turn=last)
            )
        return to_job(row), JobClaim(row.job_id, self._worker_id, row.fence)

    async def renew(self, claims: Sequence[JobClaim]) -> None:
        """See `JobLeases`."""
        if not claims:
            return
        mine = or_(*(held(claim) for claim in claims))
        async with self._database.write() as connection:
            await connection.execute(
                update(jobs).where(mine).values(lease_expire_time=later(self._database, self._lease))
            )

    async def wishes(self, claims: Sequence[JobClaim]) -> Mapping[str, bool]:
        """See `JobLeases`."""
        if not claims:
            return {}
        mine = or_(*(held(claim) for claim in claims))
        async with self._database.read() as connection:
            rows = await connection.execute(select(jobs.c.job_id, jobs.c.cancel_request_time).where(mine))
            return {row.job_id: row.cancel_request_time is not None for row in rows}

    async def save(self, claim: JobClaim, job: Job) -> Job:
        """See `JobLeases`."""
        now = datetime.now(UTC)
        await self._write(claim, {**progress_values(job), "update_time": now})
        return replace(job, update_time=now)

    async def finish(self, claim: JobClaim) -> bool:
        """See `JobLeases`."""
        now = datetime.now(UTC)
        values = {"state": JobState.DONE.value, "failed_attempts": 0, "end_time": now, "update_time": now}
        async with self._database.write() as connection:
            done = await connection.execute(
                update(jobs).where(held(claim), jobs.c.cancel_request_time.is_(None)).values({**values, "failure": ""})
            )
        return bool(done.rowcount)

    async def end(self, claim: JobClaim, state: JobState, failure: JobFailure | None, job: Job) -> None:
        """See `JobLeases`."""
        now = datetime.now(UTC)
        ended = {"state": state.value, "end_time": now, "update_time": now}
        if failure is not None:
            ended["failure"] = failure_text(failure)
        await self._write(claim, {**progress_values(job), **ended})

    async def postpone(self, claim: JobClaim, failure: JobFailure, delay: timedelta) -> None:
        """See `JobLeases`."""
        waiting = {
            "state": JobState.WAITING_FOR_RETRY.value,
            "failure": failure_text(failure),
            "failed_attempts": jobs.c.failed_attempts + 1,
            "next_attempt_time": later(self._database, delay),
            "update_time": datetime.now(UTC),
        }
        await self._write(claim, waiting)

    async def release(self, claim: JobClaim) -> None:
        """See `JobLeases`."""
        queued = {
            "state": JobState.QUEUED.value,
            "attempt_count": jobs.c.attempt_count - 1,
            "update_time": datetime.now(UTC),
        }
        await self._write(claim, queued)

    async def _write(self, claim: JobClaim, values: Mapping[str, object]) -> None:
        async with self._database.write() as connection:
            written = await connection.execute(update(jobs).where(held(claim)).values(dict(values)))
        if not written.rowcount:
            raise JobLostError(claim.job_id)
