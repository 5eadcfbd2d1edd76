"""Takes jobs and runs them, so many at a time, and sees to it that their leases go on while they run."""

from __future__ import annotations

import asyncio
import logging
import time

from parley_retrieval.domain.errors import JobLostError
from parley_retrieval.operations.job_board import JobBoard, wait
from parley_retrieval.operations.job_run import JobRun, MakeRun, Stop
from parley_retrieval.ports.job_store import JobLeases

logger = logging.getLogger(__name__)

_LOOK_FOR_WORK_SECONDS = 1.0
_LOOK_FOR_WISHES_SECONDS = 0.25


class JobWorker:
    """The jobs of this process."""

    def __init__(
        self, leases: JobLeases, board: JobBoard, make_run: MakeRun, *, at_once: int, lease_seconds: float
    ) -> None:
        """`at_once` is how many jobs run at the same time; a lease is renewed three times before it would end."""
        self._leases = leases
        self._board = board
        self._make_run = make_run
        self._free = asyncio.Semaphore(at_once)
        self._renew_seconds = lease_seconds / 3
        self._runs: dict[str, JobRun] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._taking: asyncio.Task[bool] | None = None

    def start(self) -> None:
        """Begins to take jobs."""
        self._loops = [
            asyncio.create_task(self._take_jobs(), name="taking of jobs"),
            asyncio.create_task(self._look_after_runs(), name="looking after jobs"),
        ]

    async def stop(self) -> None:
        """Takes no more jobs, and gives those that run back to the queue, as far as they are."""
        taking, looking = self._loops
        taking.cancel()
        await asyncio.wait({taking} if self._taking is None else {taking, self._taking})
        for run in self._runs.values():
            run.stop(Stop.SHUTDOWN)
        if self._running:
            await asyncio.wait(self._running)
        looking.cancel()
        await asyncio.wait({looking})

    async def _take_jobs(self) -> None:
        while True:
            await self._free.acquire()
            taken = False
            try:
                # Shielded: a job that is taken in the moment of the end must still be run, to be given back.
                self._taking = asyncio.create_task(self._take(), name="taking of a job")
                taken = await asyncio.shield(self._taking)
            except Exception:
                logger.exception("no job could be taken")
            finally:
                if not taken:
                    self._free.release()
            if not taken:
                await wait(self._board.work, _LOOK_FOR_WORK_SECONDS)

    async def _take(self) -> bool:
        claimed = await self._leases.claim()
        if claimed is None:
            return False
        job, claim = claimed
        run = self._make_run(job, claim)
        self._runs[job.job_id] = run
        task = asyncio.create_task(self._run(run), name=f"job {job.job_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def _run(self, run: JobRun) -> None:
        try:
            self._board.changed(run.job.job_id)
            await run.work()
        except Exception:
            # The ledger could not be written. The lease will end, and the job be taken again.
            logger.exception("a job was left", extra={"job_id": run.job.job_id})
        finally:
            if self._runs.get(run.job.job_id) is run:
                del self._runs[run.job.job_id]
            self._free.release()
            self._board.work.set()

    async def _look_after_runs(self) -> None:
        renewed = time.monotonic()
        while True:
            await wait(self._board.cancels, _LOOK_FOR_WISHES_SECONDS)
            runs = list(self._runs.values())
            if not runs:
                renewed = time.monotonic()
                continue
            try:
                if time.monotonic() - renewed >= self._renew_seconds:
                    renewed = time.monotonic()
                    await self._leases.renew([run.claim for run in runs])
                wishes = await self._leases.wishes([run.claim for run in runs])
                for run in runs:
                    if (cancelled := wishes.get(run.job.job_id)) is None:
                        run.stop(Stop.LOST)
                    elif cancelled:
                        run.stop(Stop.CANCELLED)
                    elif self._runs.get(run.job.job_id) is run:
                        await _save(run)
            except Exception:
                logger.exception("running jobs could not be looked after")


async def _save(run: JobRun) -> None:
    try:
        await run.save()
    except JobLostError:
        # It has just ended, or is another's: then nothing more of it may be written.
        run.stop(Stop.LOST)
