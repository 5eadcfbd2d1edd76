"""Where batches are kept, and who writes which line of them.

A line that is being written has an owner with a lease: whoever finds the lease run out takes the line, with a higher fence, and whoever
comes back with the lower one can write nothing of it any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from parley_chat.domain.batches import Batch, BatchLine, LineFailure, LineResult, Spent
from parley_chat.domain.conversation import Failure


@dataclass(frozen=True, slots=True)
class BatchCursor:
    """The last batch of a page; the next one goes on after it."""

    create_time: datetime
    batch_id: str


@dataclass(frozen=True, slots=True)
class LineClaim:
    """The right to write of a line what became of it, until another takes it."""

    user_id: str
    batch_id: str
    number: int
    fence: int


@dataclass(frozen=True, slots=True)
class ClaimedLine:
    """A line that is to be written now."""

    claim: LineClaim
    line: BatchLine
    attempt: int
    """Which attempt it is, from 1. One whose process died counts."""


class BatchStore(Protocol):
    """The batches of all users. Nothing of one user is ever returned to, or changed by, another: NotFoundError."""

    async def open_upload(self, user_id: str, batch_id: str) -> None:
        """Begins to take lines for a batch that nobody sees yet."""
        ...

    async def add_lines(self, batch_id: str, lines: Sequence[BatchLine]) -> None:
        """Stores lines of an upload. Raises NotFoundError when it was dropped."""
        ...

    async def begin(self, batch: Batch, digest: str, most: int) -> Batch:
        """Makes an upload the batch: from now on it is seen and written. Its lines are counted here.

        Returns the batch that there is when the user has one under the same `client_batch_id`, of the same digest. Raises
        BatchNameTakenError when that has another digest, and TooManyBatchesError when the user keeps `most` already.
        """
        ...

    async def drop_upload(self, batch_id: str) -> None:
        """Removes an upload with its lines, if it is none that became a batch."""
        ...

    async def drop_uploads_before(self, time: datetime) -> int:
        """The same for all in which nothing has come since; tells how many."""
        ...

    async def find(self, user_id: str, client_batch_id: str) -> tuple[Batch, str] | None:
        """The batch of this name, with its digest."""
        ...

    async def get(self, user_id: str, batch_id: str) -> Batch:
        """One batch."""
        ...

    async def page(self, user_id: str, limit: int, after: BatchCursor | None) -> Sequence[Batch]:
        """Batches, newest first."""
        ...

    async def results(self, user_id: str, batch_id: str, after_line: int, limit: int) -> Sequence[LineResult]:
        """Lines that have ended, in the order of the input."""
        ...

    async def cancel(self, user_id: str, batch_id: str) -> tuple[Batch, bool]:
        """Ends a batch and all its lines that have not ended; the flag says whether this call did."""
        ...

    async def resume(self, user_id: str, batch_id: str) -> Batch:
        """Ends the pause of a batch. Raises BatchStateError when it has none."""
        ...

    async def delete(self, user_id: str, batch_id: str) -> None:
        """Removes a batch with its lines."""
        ...

    async def delete_ended_before(self, time: datetime) -> int:
        """The same for batches of all users that have ended before; a few at a time. Tells how many."""
        ...


class BatchLeases(Protocol):
    """The part of this process in writing lines."""

    async def free_all(self) -> None:
        """Frees every line that anybody writes: for the only process of a database, at its start."""
        ...

    async def claim(self) -> ClaimedLine | None:
        """Takes the line that is next: of the user for whom the least is being written, who waits longest; and of their batch that does."""
        ...

    async def renew(self, claims: Sequence[LineClaim]) -> None:
        """Moves the ends of leases on."""
        ...

    async def lost(self, claims: Sequence[LineClaim]) -> Collection[LineClaim]:
        """Those that hold no longer: the batch was cancelled or deleted, or another process took the line."""
        ...

    async def complete(self, claim: LineClaim, result: str, spent: Spent) -> bool:
        """Stores what a model wrote; False when the claim does not hold. The same for all that follow: what was spent is counted anyway."""
        ...

    async def fail(self, claim: LineClaim, failure: LineFailure, spent: Spent) -> bool:
        """Stores that a line has failed for good."""
        ...

    async def postpone(self, claim: LineClaim, delay: timedelta, rest: timedelta, spent: Spent) -> bool:
        """Has a line tried again after a delay, and leaves the others of its batch alone for a shorter one."""
        ...

    async def pause(self, claim: LineClaim, failure: Failure, spent: Spent) -> bool:
        """Gives a line back as if it had not been tried, and pauses its batch."""
        ...

    async def release(self, claim: LineClaim, spent: Spent) -> bool:
        """Gives a line back as if it had not been tried: another process takes it, or the next one."""
        ...

    async def end_finished(self) -> Sequence[Batch]:
        """Ends batches without a line that has not ended, where a process died before it could."""
        ...
