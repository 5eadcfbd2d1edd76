"""Rows of the ledger of jobs and what they mean: shared by the two sides of it. No statements that change anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, Interval, Select, Subquery, and_, func, literal, or_, select

from parley_retrieval.adapters.sql_schema import job_owners, jobs
from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.jobs import (
    FailureReason,
    FileFacts,
    Job,
    JobClaim,
    JobFailure,
    JobStage,
    JobState,
    StageProgress,
)


def to_job(row: Any) -> Job:
    """The job of a row."""
    return Job(
        job_id=row.job_id,
        owner_id=row.owner_id,
        document_id=row.document_id,
        facts=FileFacts(
            filename=row.filename,
            title=row.title,
            project=row.project,
            source_uri=row.source_uri,
            media_type=MediaType(row.wanted_media_type) if row.wanted_media_type else None,
            labels=json.loads(row.labels),
        ),
        size_bytes=row.size_bytes,
        content_sha256=row.content_sha256,
        create_time=row.create_time,
        update_time=row.update_time,
        title=row.title,
        media_type=MediaType(row.media_type) if row.media_type else None,
        state=JobState(row.state),
        stage=JobStage(row.stage),
        stages=tuple(_progress(one) for one in json.loads(row.stages)),
        attempt_count=row.attempt_count,
        failed_attempts=row.failed_attempts,
        next_attempt_time=row.next_attempt_time,
        failure=_failure(row.failure),
        end_time=row.end_time,
        cancel_requested=row.cancel_request_time is not None,
    )


def progress_values(job: Job) -> Mapping[str, object]:
    """The columns that who works at a job writes."""
    return {
        "title": job.title,
        "media_type": job.media_type.value if job.media_type else "",
        "stage": job.stage.value,
        "stages": json.dumps([_progress_json(one) for one in job.stages]),
    }


def failure_text(failure: JobFailure | None) -> str:
    """A failure as it is stored."""
    if failure is None:
        return ""
    stored = {"reason": failure.reason.value, "message": failure.message, "retryable": failure.retryable}
    return json.dumps(stored, ensure_ascii=False)


def later(database: Database, time: timedelta = timedelta()) -> ColumnElement[datetime]:
    """The database's time, and some more. SQLite has no other clock than this machine's, and no finer one than this process."""
    if database.dialect == "sqlite":
        return literal(datetime.now(UTC) + time, UtcDateTime)
    return func.clock_timestamp(type_=UtcDateTime) + literal(time, Interval)


def claimable(database: Database) -> ColumnElement[bool]:
    """Which jobs may be taken: queued ones, those whose time has come, and those whose worker is dead."""
    now = later(database)
    return or_(
        jobs.c.state == JobState.QUEUED.value,
        and_(jobs.c.state == JobState.WAITING_FOR_RETRY.value, jobs.c.next_attempt_time <= now),
        and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_expire_time <= now),
    )


def held(claim: JobClaim) -> ColumnElement[bool]:
    """Whether a claim is that of the job's row. A lease that is over and that nobody took still holds."""
    return and_(
        jobs.c.job_id == claim.job_id,
        jobs.c.fence == claim.fence,
        jobs.c.worker_id == claim.worker_id,
        jobs.c.state == JobState.RUNNING.value,
    )


def queue(database: Database) -> Subquery:
    """The jobs that may be taken with their places: every user's first, then every user's second, and so on.

    Among the firsts comes before the others whose turn is longest ago.
    """
    of_user = func.row_number().over(partition_by=jobs.c.owner_id, order_by=(jobs.c.create_time, jobs.c.job_id))
    ranks = (
        select(
            jobs.c.job_id,
            jobs.c.owner_id,
            of_user.label("rank"),
            func.coalesce(job_owners.c.last_turn, 0).label("last_turn"),
        )
        .select_from(jobs.outerjoin(job_owners, job_owners.c.owner_id == jobs.c.owner_id))
        .where(claimable(database))
        .subquery()
    )
    place = func.row_number().over(order_by=(ranks.c.rank, ranks.c.last_turn, ranks.c.owner_id))
    return select(ranks.c.job_id, place.label("place")).subquery()


def next_jobs(database: Database, limit: int) -> Select[tuple[str]]:
    """The first jobs of the queue, in their order."""
    places = queue(database)
    return select(places.c.job_id).order_by(places.c.place).limit(limit)


def _progress_json(progress: StageProgress) -> list[object]:
    end = progress.end_time.isoformat() if progress.end_time else None
    start = progress.start_time.isoformat()
    return [progress.stage.value, progress.done, progress.total, progress.unit, start, end]


def _progress(stored: list[Any]) -> StageProgress:
    stage, done, total, unit, start, end = stored
    return StageProgress(
        JobStage(stage),
        done,
        total,
        unit,
        datetime.fromisoformat(start),
        datetime.fromisoformat(end) if end else None,
    )


def _failure(stored: str) -> JobFailure | None:
    if not stored:
        return None
    values = json.loads(stored)
    return JobFailure(FailureReason(values["reason"]), values["message"], values["retryable"])
