"""Turns the domain errors of files and jobs into statuses, for `status.py`."""

from __future__ import annotations

import grpc
from parley_shared.status import StatusError, not_found

from parley_retrieval.domain.errors import (
    FileTooLargeError,
    JobNotFoundError,
    JobStateError,
    JobStillRunsError,
    TooManyBytesError,
    TooManyJobsError,
    TooManyUploadsError,
    UploadCutError,
    UploadMalformedError,
)


def ingest_status_error(error: Exception) -> StatusError | None:
    """The status of an error of files and jobs; None for every other."""
    match error:
        case JobNotFoundError():
            return not_found("job")
        case JobStateError():
            words = f"The job is {error.state}: only one that failed or was cancelled can begin again."
            if not error.file_kept:
                words = "The job's file is gone: its document was deleted, or the file was handed in again."
            return StatusError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "ERROR_REASON_JOB_STATE",
                words,
                metadata={"state": error.state},
            )
        case JobStillRunsError():
            return StatusError(
                grpc.StatusCode.UNAVAILABLE,
                "ERROR_REASON_SERVICE_UNAVAILABLE",
                "The job is cancelled, and has not stopped yet. Try again.",
                metadata={"service": "retrieval"},
            )
        case UploadMalformedError():
            return _invalid(error.field, error.words)
        case FileTooLargeError():
            return _invalid("chunk", f"must have at most {error.limit:,} bytes in all: that is the largest file")
        case UploadCutError():
            return StatusError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "ERROR_REASON_STREAM_IDLE",
                f"Nothing of the file came for {error.idle_seconds:g} seconds.",
                metadata={"idle_seconds": f"{error.idle_seconds:g}"},
            )
        case TooManyBytesError():
            return _exhausted(
                error.limit,
                f"Your files would be more than {error.limit:,} bytes, which is as many as one user may have.",
            )
        case TooManyJobsError():
            return _exhausted(
                error.limit, f"You have {error.limit} jobs that have not ended. Wait for one, or cancel it."
            )
        case TooManyUploadsError():
            return _exhausted(error.limit, f"You have {error.limit} uploads under way. Wait for one of them.")
    return None


def _invalid(field: str, words: str) -> StatusError:
    return StatusError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        f"{field} {words}.",
        metadata={"field": field},
        violations=[(field, words)],
    )


def _exhausted(limit: int, words: str) -> StatusError:
    return StatusError(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED", words, metadata={"limit": str(limit)}
    )
