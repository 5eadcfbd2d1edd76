"""What a job is: making a file searchable, stage by stage, also across the death of the process that was at it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from parley_retrieval.domain.documents import MediaType

FILE_BYTES = 100_000_000
"""The largest file."""
MOST_FAILED_ATTEMPTS = 10
"""A job that failed so often in a row, with things that could have passed, has failed."""

_LONGEST_DELAY_SECONDS = 300.0


class JobState(Enum):
    """How a job is. The values stand in the database."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_FOR_RETRY = "waiting_for_retry"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DONE = "done"

    @property
    def ended(self) -> bool:
        """Whether nothing happens any more unless its user says so."""
        return self in {JobState.CANCELLED, JobState.FAILED, JobState.DONE}


class JobStage(Enum):
    """The stages in their order. The values stand in the database."""

    RECEIVED = "received"
    PARSED = "parsed"
    CHUNKED = "chunked"
    EMBEDDED = "embedded"
    INDEXED = "indexed"
    DONE = "done"

    @property
    def place(self) -> int:
        """Its place among the stages, from 0."""
        return list(JobStage).index(self)


class FailureReason(Enum):
    """Why a job failed. The values stand in the database."""

    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    ENCRYPTED = "encrypted"
    NO_TEXT = "no_text"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    EMBEDDING = "embedding"
    INTERNAL = "internal"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job failed, the last time."""

    reason: FailureReason
    """The kind."""
    message: str
    """For a person, in English."""
    retryable: bool
    """Whether the same file may succeed later."""


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far one stage is."""

    stage: JobStage
    """The stage."""
    done: int
    """How much of it is done, in `unit`."""
    total: int
    """How much there is to do; 0 while it is not known."""
    unit: str
    """`bytes`, `pages`, `characters` or `chunks`."""
    start_time: datetime
    """UTC."""
    end_time: datetime | None = None
    """UTC; None while it has not ended."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the sender of a file says about it."""

    filename: str = ""
    """Never used as a path."""
    title: str = ""
    """What to call the document; empty to take it from the file."""
    project: str = ""
    """The label of its project."""
    source_uri: str = ""
    """Where it came from."""
    media_type: MediaType | None = None
    """What it is, where its content cannot tell."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What its owner filters by."""


@dataclass(frozen=True, slots=True)
class Job:
    """Making a file searchable."""

    job_id: str
    """`job_` and 32 hexadecimal digits."""
    owner_id: str
    """The user."""
    document_id: str
    """The document that it makes."""
    facts: FileFacts
    """What its sender said of the file."""
    size_bytes: int
    """The length of the file."""
    content_sha256: str
    """Of the file, 64 hexadecimal digits."""
    create_time: datetime
    """UTC."""
    update_time: datetime
    """When anything of it last changed, UTC."""
    title: str = ""
    """What the document is called; empty until it is known."""
    media_type: MediaType | None = None
    """What the file is by its content; None until it was looked at."""
    state: JobState = JobState.QUEUED
    """How it is."""
    stage: JobStage = JobStage.RECEIVED
    """The last stage that it has behind it."""
    stages: tuple[StageProgress, ...] = ()
    """Each stage that has begun, in their order."""
    attempt_count: int = 0
    """How often it was begun."""
    failed_attempts: int = 0
    """How often in a row it failed with something that could have passed."""
    next_attempt_time: datetime | None = None
    """When it is tried again, UTC; None unless it waits for that."""
    failure: JobFailure | None = None
    """Why it failed, the last time."""
    end_time: datetime | None = None
    """UTC; None while it has not ended."""
    cancel_requested: bool = False
    """Whether its user has cancelled it. Who runs it sees to that."""

    def with_progress(self, progress: StageProgress) -> Job:
        """With this of its stage, in place of what there was of it and of later ones."""
        earlier = [known for known in self.stages if known.stage.place < progress.stage.place]
        return replace(self, stages=(*earlier, progress))


@dataclass(frozen=True, slots=True)
class JobClaim:
    """The right to work at a job. It is lost when another takes the job over: the fence is another one then."""

    job_id: str
    """The job."""
    worker_id: str
    """Who works."""
    fence: int
    """One more with each claim of the job."""


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs of all users have not ended."""

    waiting: int
    """For a worker, or to be tried again."""
    running: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one user has."""

    documents: int
    """Documents, and jobs that will make one."""
    bytes: int
    """The bytes of their files, of the texts of documents without a file, and of older versions."""
    unfinished_jobs: int
    """Jobs that have not ended."""


@dataclass(frozen=True, slots=True)
class UserLimits:
    """What one user may have at most."""

    documents: int
    """Documents."""
    bytes: int
    """Bytes of files and texts."""
    unfinished_jobs: int
    """Jobs that have not ended."""


def new_job_id() -> str:
    """An id for a job."""
    return f"job_{uuid.uuid4().hex}"


def retry_delay(failed_attempts: int, first_seconds: float, least_seconds: float = 0) -> timedelta:
    """How long to wait after so many failures in a row, 1 or more: twice as long each time, and never two jobs in step.

    `least_seconds` is what was asked for; of that, no more counts than jobs ever wait.
    """
    seconds = min(first_seconds * 2 ** (failed_attempts - 1), _LONGEST_DELAY_SECONDS)
    asked = min(least_seconds, _LONGEST_DELAY_SECONDS) * random.uniform(1.0, 1.25)  # noqa: S311 - nobody guards anything with it
    return timedelta(seconds=max(seconds * random.uniform(0.75, 1.25), asked))  # noqa: S311 - as above
