"""Puts jobs into the contract's messages, and takes states out of them."""

from __future__ import annotations

from collections.abc import Iterable

from parley.retrieval.v1 import job_pb2

from parley_retrieval.domain.jobs import JobState, StageProgress
from parley_retrieval.operations.ingestion import Seen
from parley_retrieval.servicers.packing import media_type_message


def job_message(seen: Seen) -> job_pb2.Job:
    """A job as it is sent."""
    job = seen.job
    message = job_pb2.Job(
        job_id=job.job_id,
        state=job_pb2.JobState.Value(f"JOB_STATE_{job.state.name}"),
        stage=job_pb2.JobStage.Value(f"JOB_STAGE_{job.stage.name}"),
        stages=[_progress_message(progress) for progress in job.stages],
        document_id=job.document_id,
        filename=job.facts.filename,
        title=job.title,
        media_type=media_type_message(job.media_type),
        size_bytes=job.size_bytes,
        content_sha256=job.content_sha256,
        project=job.facts.project,
        queue_place=seen.queue_place,
        attempt_count=job.attempt_count,
    )
    message.create_time.FromDatetime(job.create_time)
    message.update_time.FromDatetime(job.update_time)
    if job.state is JobState.WAITING_FOR_RETRY and job.next_attempt_time is not None:
        message.next_attempt_time.FromDatetime(job.next_attempt_time)
    if job.end_time is not None:
        message.end_time.FromDatetime(job.end_time)
    if job.failure is not None:
        message.failure.reason = job_pb2.JobFailureReason.Value(f"JOB_FAILURE_REASON_{job.failure.reason.name}")
        message.failure.message = job.failure.message
        message.failure.retryable = job.failure.retryable
    return message


def states_of(values: Iterable[job_pb2.JobState.ValueType]) -> frozenset[JobState]:
    """The states that a request means. Those that are never stored are left out before."""
    return frozenset(JobState[job_pb2.JobState.Name(value).removeprefix("JOB_STATE_")] for value in values)


def _progress_message(progress: StageProgress) -> job_pb2.StageProgress:
    message = job_pb2.StageProgress(
        stage=job_pb2.JobStage.Value(f"JOB_STAGE_{progress.stage.name}"),
        done=progress.done,
        total=progress.total,
        unit=progress.unit,
    )
    message.start_time.FromDatetime(progress.start_time)
    if progress.end_time is not None:
        message.end_time.FromDatetime(progress.end_time)
    return message
