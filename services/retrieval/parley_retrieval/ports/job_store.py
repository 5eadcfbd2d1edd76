"""The ledger of jobs: `JobStore` is what users' calls need of it, `JobLeases` what those need who work at them.

A job survives every process. Who works at one has it for a while (a lease, by the database's clock) and must renew that; when
its time is over another may take it, with a higher fence, and what the first still writes is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from parley_retrieval.domain.jobs import Job, JobClaim, JobCounts, JobFailure, JobState, Usage, UserLimits


@dataclass(frozen=True, slots=True)
class JobCursor:
    """The last job of a page; the next page starts after it."""

    create_time: datetime
    """Its time, UTC."""
    job_id: str
    """Its id, which decides between equal times."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a job that was added."""

    job: Job
    """The job, or the one that there is of the same file."""
    duplicate: bool
    """True when nothing was added."""
    superseded_job_id: str = ""
    """A job that had failed or been cancelled, and whose file is this one's now."""


class JobStore(Protocol):
    """Keeps jobs, and which of them have their file."""

    async def add(self, job: Job, limits: UserLimits) -> Added:
        """Writes a job and its file's row, unless the owner has this file in a job that did not fail.

        Raises TooManyJobsError, TooManyDocumentsError, TooManyBytesError.
        """
        ...

    async def usage(self, owner_id: str) -> Usage:
        """What the owner has."""
        ...

    async def find(self, owner_id: str, job_id: str) -> Job | None:
        """The owner's job."""
        ...

    async def find_of_document(self, owner_id: str, document_id: str) -> Job | None:
        """The job that makes the owner's document, while its file is kept."""
        ...

    async def page(
        self, owner_id: str, states: AbstractSet[JobState], after: JobCursor | None, limit: int
    ) -> Sequence[Job]:
        """Jobs, newest first, at most `limit`; in any state when `states` is empty."""
        ...

    async def queue_places(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """How many jobs are taken before each of those that are queued, plus 1."""
        ...

    async def counts(self) -> JobCounts:
        """How many jobs of all users have not ended."""
        ...

    async def request_cancel(self, owner_id: str, job_id: str) -> bool:
        """Cancels a job at once that nobody works at, and answers True; of one that runs, notes the wish and answers False.

        Nothing happens to one that has ended.
        """
        ...

    async def queue_again(self, owner_id: str, job_id: str, limits: UserLimits) -> bool:
        """Queues a job that failed or was cancelled and has its file. False for any other. Raises TooManyJobsError."""
        ...

    async def drop_file(self, owner_id: str, document_id: str) -> None:
        """Forgets the file of a document: the same bytes are new from now on, and its job cannot begin again."""
        ...

    async def kept_files(self, owner_id: str = "") -> Collection[str]:
        """The jobs whose files are kept: all, or those of an owner."""
        ...


class JobLeases(Protocol):
    """The part of one worker process. Every call with a claim raises JobLostError when the claim is lost."""

    async def claim(self) -> tuple[Job, JobClaim] | None:
        """Takes the next job: from one user after the other, the oldest of each. None when there is none to take."""
        ...

    async def renew(self, claims: Sequence[JobClaim]) -> None:
        """Moves the ends of the leases on. Lost ones stay lost."""
        ...

    async def wishes(self, claims: Sequence[JobClaim]) -> Mapping[str, bool]:
        """Whether it was cancelled, for each job whose claim still holds."""
        ...

    async def save(self, claim: JobClaim, job: Job) -> Job:
        """Writes how far the job is: stage, progress, title, media type."""
        ...

    async def finish(self, claim: JobClaim) -> bool:
        """Ends the job as DONE, unless it was cancelled meanwhile: False then."""
        ...

    async def end(self, claim: JobClaim, state: JobState, failure: JobFailure | None, job: Job) -> None:
        """Ends the job as CANCELLED or FAILED."""
        ...

    async def postpone(self, claim: JobClaim, failure: JobFailure, delay: timedelta) -> None:
        """Lets the job wait, to be tried again: one more failed attempt."""
        ...

    async def release(self, claim: JobClaim) -> None:
        """Gives the job back to the queue as if it had not been taken."""
        ...
