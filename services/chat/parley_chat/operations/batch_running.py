"""Writes the lines of batches: a few at a time, each once, and for whichever batch is next.

Lines have places of their own and take none of those of answers. What a provider turns away for now is tried again later, and its batch is
left alone for a while; what would turn every line away pauses the batch. A process that is killed leaves its lines to the next one: a text
that was written and not yet stored is then written, and paid, once more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from parley_chat.domain.batches import (
    LineFailure,
    Spent,
    delay_of,
    may_be_tried_again,
    passes_soon,
    rest_of,
    spent_on,
    stops_all,
)
from parley_chat.domain.conversation import Failure
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import Meter
from parley_chat.domain.usage import UsagePurpose
from parley_chat.operations.batch_board import BatchBoard, wait
from parley_chat.operations.batch_forms import BatchForms
from parley_chat.operations.text_generations import BROKE_OFF, TextGenerations
from parley_chat.ports.batches import BatchLeases, BatchStore, ClaimedLine
from parley_chat.ports.tracing import Tracing

logger = logging.getLogger(__name__)

_LOOK_FOR_WORK_SECONDS = 1.0
_LOOK_FOR_LOSSES_SECONDS = 0.25
_TIDY_SECONDS = 30.0
_RENEWALS_PER_LEASE = 3
_UPLOAD_FORGOTTEN_AFTER = timedelta(hours=1)

_UNEXPECTED = Failure(13, "ERROR_REASON_INTERNAL", "Something went wrong with this line that was not foreseen.", False)
_TOO_OFTEN = Failure(
    13, "ERROR_REASON_INTERNAL", "The service ended each time while this line was being written.", False
)


class Stop(Enum):
    """Why a line is no longer written."""

    SHUTDOWN = "shutdown"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class RunningLimits:
    """How batches are run."""

    places: int
    """How many lines this process writes at once; with 0 it leaves them to others."""
    attempts: int
    """How often a line is tried at most."""
    lease_seconds: float
    retention: timedelta
    """How long a batch is kept after its end."""


@dataclass(eq=False)
class _Run:
    """One line that is being written."""

    claimed: ClaimedLine
    writing: asyncio.Task[str] | None = None
    stop: Stop | None = None
    meter: Meter = field(default_factory=Meter)

    def end(self, why: Stop) -> None:
        if self.stop is None:
            self.stop = why
            if self.writing is not None:
                self.writing.cancel()


class BatchRunning:
    """The lines of this process."""

    def __init__(
        self,
        leases: BatchLeases,
        store: BatchStore,
        forms: BatchForms,
        generations: TextGenerations,
        board: BatchBoard,
        tracing: Tracing,
        limits: RunningLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._leases = leases
        self._store = store
        self._forms = forms
        self._generations = generations
        self._board = board
        self._tracing = tracing
        self._limits = limits
        self._now = now
        self._free = asyncio.Semaphore(limits.places)
        self._runs: dict[_Run, asyncio.Task[None]] = {}
        self._taking: asyncio.Task[bool] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self, *, is_only_process: bool) -> None:
        """Begins to write lines; the only process of a database goes on with those of the last one at once."""
        if is_only_process:
            await self._leases.free_all()
        self._loops = [asyncio.create_task(self._tidy(), name="tidying of batches")]
        if self._limits.places:
            self._loops.append(asyncio.create_task(self._take_lines(), name="taking of batch lines"))
            self._looking = asyncio.create_task(self._look_after(), name="looking after batch lines")

    async def drain(self, grace_seconds: float) -> None:
        """Takes no more lines; those that are not written within the grace are given back."""
        if self._stopped:
            return
        self._stopped = True
        for loop in self._loops:
            loop.cancel()
        if self._loops:
            await asyncio.wait(self._loops)
        if self._taking:
            # A line that is taken in the moment of the end must still be run, to be given back.
            await asyncio.wait({self._taking})
        if self._runs and grace_seconds > 0:
            await asyncio.wait(self._runs.values(), timeout=grace_seconds)
        for run in list(self._runs):
            run.end(Stop.SHUTDOWN)
        if self._runs:
            await asyncio.wait(self._runs.values())
        if self._looking:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _take_lines(self) -> None:
        while True:
            await self._free.acquire()
            taken = False
            try:
                self._taking = asyncio.create_task(self._take(), name="taking of a batch line")
                taken = await asyncio.shield(self._taking)
            except Exception:
                logger.exception("no line of a batch could be taken")
            finally:
                if not taken:
                    self._free.release()
            if not taken:
                await wait(self._board.work, _LOOK_FOR_WORK_SECONDS)

    async def _take(self) -> bool:
        claimed = await self._leases.claim()
        if claimed is None:
            return False
        run = _Run(claimed)
        self._runs[run] = asyncio.create_task(
            self._run(run), name="batch line", context=self._tracing.detached_context()
        )
        return True

    async def _run(self, run: _Run) -> None:
        batch_id = run.claimed.claim.batch_id
        try:
            self._board.changed(batch_id)
            await self._write_and_store(run)
        except Exception:
            # The database could not be written. The lease ends, and the line is taken again.
            logger.exception("a line of a batch was left", extra={"batch_id": batch_id})
        finally:
            del self._runs[run]
            self._free.release()
            self._board.changed(batch_id)
            self._board.work.set()

    async def _write_and_store(self, run: _Run) -> None:
        claimed = run.claimed
        if claimed.attempt > self._limits.attempts:
            await self._leases.fail(claimed.claim, LineFailure(_TOO_OFTEN), Spent())
            return
        run.writing = asyncio.create_task(self._write(run), name="text of a batch line")
        if run.stop is not None:
            run.writing.cancel()
        await asyncio.wait({run.writing})
        spent = spent_on(run.meter.usage())
        if run.writing.cancelled():
            # What was lost is not written; only what it took is counted.
            await self._leases.release(claimed.claim, spent)
            return
        error = run.writing.exception()
        if error is None:
            await self._leases.complete(claimed.claim, run.writing.result(), spent)
        elif isinstance(error, GenerationError):
            await self._failed(claimed, error, spent)
        else:
            logger.error("a line of a batch failed", exc_info=error, extra={"batch_id": claimed.claim.batch_id})
            await self._leases.fail(claimed.claim, LineFailure(_UNEXPECTED), spent)

    async def _write(self, run: _Run) -> str:
        claimed = run.claimed
        request = self._forms.request(claimed.line, claimed.claim.user_id)
        gathering = self._forms.gathering(claimed.line)
        writing = self._generations.write_round(request, UsagePurpose.BATCH, run.meter, spent_seconds=0)
        async with aclosing(writing) as events:
            async for event in events:
                gathering.take(event)
        result = gathering.result()
        if result is None:
            raise GenerationError(BROKE_OFF)
        return result

    async def _failed(self, claimed: ClaimedLine, error: GenerationError, spent: Spent) -> None:
        failure = error.failure
        attempts_most = self._limits.attempts
        if stops_all(failure) and not (passes_soon(error.retry_after_seconds) and claimed.attempt < attempts_most):
            await self._leases.pause(claimed.claim, failure, spent)
            return
        if stops_all(failure) or may_be_tried_again(
            failure, attempts=claimed.attempt, attempts_most=attempts_most, spent=spent
        ):
            delay = delay_of(claimed.attempt, error.retry_after_seconds)
            await self._leases.postpone(claimed.claim, delay, rest_of(delay), spent)
            return
        await self._leases.fail(claimed.claim, self._forms.failure(claimed.line, error), spent)

    async def _look_after(self) -> None:
        renewed = time.monotonic()
        while True:
            await wait(self._board.claims, _LOOK_FOR_LOSSES_SECONDS)
            runs = list(self._runs)
            if not runs:
                renewed = time.monotonic()
                continue
            claims = {run.claimed.claim: run for run in runs}
            try:
                if time.monotonic() - renewed >= self._limits.lease_seconds / _RENEWALS_PER_LEASE:
                    renewed = time.monotonic()
                    await self._leases.renew(list(claims))
                for claim in await self._leases.lost(list(claims)):
                    claims[claim].end(Stop.LOST)
            except Exception:
                logger.exception("lines of batches could not be looked after")

    async def _tidy(self) -> None:
        """Now and then: ends what a process that died could not end, and deletes what was kept long enough."""
        while True:
            try:
                for batch in await self._leases.end_finished():
                    self._board.changed(batch.batch_id)
                await self._store.drop_uploads_before(self._now() - _UPLOAD_FORGOTTEN_AFTER)
                while await self._store.delete_ended_before(self._now() - self._limits.retention):
                    pass
            except Exception:
                logger.exception("batches could not be tidied")
            await asyncio.sleep(_TIDY_SECONDS)
