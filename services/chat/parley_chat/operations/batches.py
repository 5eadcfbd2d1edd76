"""What a user does with batches: send one, look at it, watch it, read its results, cancel it, go on with it, delete it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from parley_chat.domain.batches import (
    Batch,
    BatchLine,
    BatchState,
    LineResult,
    TooManyUploadsError,
    UploadCutError,
    new_batch_id,
)
from parley_chat.operations.batch_board import BatchBoard, wait
from parley_chat.operations.batch_forms import BatchForms, LineReader
from parley_chat.ports.batches import BatchCursor, BatchStore

logger = logging.getLogger(__name__)

UPLOADS_PER_USER = 4
"""How many batches a user sends to this process at once."""
RESULTS = 100
"""How many results are read at a time."""
_LINES = 500
_BYTES = 1_000_000
_CHANGES_SECONDS = 0.25
"""Between two states that a watcher is told."""
_LOOK_SECONDS = 0.5
"""Between two looks for what other processes did."""
_CUT_SECONDS = 0.2

_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class BatchWish:
    """What is said of a batch beside its lines."""

    client_batch_id: str
    title: str
    model: str
    """For lines that name none."""


class Batches:
    """The use cases. A change that was begun is finished, also when its caller has gone."""

    def __init__(
        self,
        store: BatchStore,
        forms: BatchForms,
        board: BatchBoard,
        *,
        batches_per_user: int,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._forms = forms
        self._board = board
        self._batches_per_user = batches_per_user
        self._now = now
        self._uploads: Counter[str] = Counter()
        self._changing: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Waits for what was begun."""
        while self._changing:
            await asyncio.wait(self._changing)

    async def create(
        self, user_id: str, wish: BatchWish, parts: AsyncIterator[bytes], *, idle_seconds: float
    ) -> tuple[Batch, bool]:
        """Takes the lines and begins the batch; the flag says whether it was there already.

        Raises the forms' error for bad lines, UploadCutError when nothing comes for `idle_seconds`, BatchNameTakenError,
        TooManyBatchesError, TooManyUploadsError, and what `parts` raises: nothing is left of the upload then.
        """
        if self._uploads[user_id] >= UPLOADS_PER_USER:
            raise TooManyUploadsError(UPLOADS_PER_USER)
        self._uploads[user_id] += 1
        try:
            return await self._create(user_id, wish, _arriving(parts, idle_seconds))
        finally:
            self._uploads[user_id] -= 1
            if not self._uploads[user_id]:
                del self._uploads[user_id]

    async def _create(self, user_id: str, wish: BatchWish, parts: AsyncIterator[bytes]) -> tuple[Batch, bool]:
        batch_id = new_batch_id()
        reader = self._forms.reader(wish.model)
        await self._finished(self._store.open_upload(user_id, batch_id))
        begun = False
        try:
            await self._receive(batch_id, reader, parts)
            # gRPC tells the end of a stream and the end of a call that was cut in the same way, and a moment later cancels the
            # handler of the second: a batch that was cut at the end of a line must not be taken for a whole one.
            await asyncio.sleep(_CUT_SECONDS)
            new = Batch(
                batch_id=batch_id,
                user_id=user_id,
                title=wish.title,
                client_batch_id=wish.client_batch_id,
                state=BatchState.QUEUED,
                create_time=self._now(),
            )
            batch = await self._finished(self._store.begin(new, reader.digest(), self._batches_per_user))
            begun = batch.batch_id == batch_id
        finally:
            if not begun:
                # When the caller has gone in the last moment, this may find a batch: that one stays.
                await self._finished(self._store.drop_upload(batch_id))
        self._board.work.set()
        return batch, not begun

    async def _receive(self, batch_id: str, reader: LineReader, parts: AsyncIterator[bytes]) -> None:
        waiting: list[BatchLine] = []
        async for part in parts:
            waiting += await asyncio.to_thread(reader.take, part)
            if len(waiting) >= _LINES or sum(len(line.request) for line in waiting) >= _BYTES:
                await self._store_lines(batch_id, waiting)
                waiting = []
        waiting += await asyncio.to_thread(reader.end)
        await self._store_lines(batch_id, waiting)

    async def _store_lines(self, batch_id: str, lines: Sequence[BatchLine]) -> None:
        for start in range(0, len(lines), _LINES):
            await self._finished(self._store.add_lines(batch_id, lines[start : start + _LINES]))

    async def get(self, user_id: str, batch_id: str) -> Batch:
        """One batch. Raises NotFoundError."""
        return await self._store.get(user_id, batch_id)

    async def page(
        self, user_id: str, size: int, after: BatchCursor | None
    ) -> tuple[Sequence[Batch], BatchCursor | None]:
        """Batches, newest first, and the cursor of the next page if there is one."""
        found = await self._store.page(user_id, size + 1, after)
        shown = found[:size]
        more = len(found) > size
        return shown, BatchCursor(shown[-1].create_time, shown[-1].batch_id) if more else None

    async def watch(self, user_id: str, batch_id: str, *, again_seconds: float) -> AsyncGenerator[Batch, None]:
        """The batch as it is, and again whenever it changes, until it has ended; the last one again after so long without a change.

        Raises NotFoundError, also when the batch is deleted meanwhile.
        """
        last: Batch | None = None
        sent = time.monotonic()
        with self._board.watching(batch_id) as changed:
            while True:
                batch = await self._store.get(user_id, batch_id)
                if batch != last or time.monotonic() - sent >= again_seconds:
                    last, sent = batch, time.monotonic()
                    yield batch
                if batch.state.ended:
                    return
                await asyncio.sleep(min(_CHANGES_SECONDS, again_seconds))
                await wait(changed, min(_LOOK_SECONDS, again_seconds))

    async def results(self, user_id: str, batch_id: str, after_line: int) -> AsyncGenerator[Sequence[LineResult], None]:
        """The lines that have ended, in the order of the input, some at a time. Raises NotFoundError."""
        while True:
            found = await self._store.results(user_id, batch_id, after_line, RESULTS)
            yield found
            if len(found) < RESULTS:
                return
            after_line = found[-1].number

    async def cancel(self, user_id: str, batch_id: str) -> tuple[Batch, bool]:
        """Ends a batch; the flag says whether this call did. Raises NotFoundError."""
        batch, cancelled = await self._finished(self._store.cancel(user_id, batch_id))
        self._board.ended_by_user(batch_id)
        return batch, cancelled

    async def resume(self, user_id: str, batch_id: str) -> Batch:
        """Goes on with a paused batch. Raises NotFoundError and BatchStateError."""
        batch = await self._finished(self._store.resume(user_id, batch_id))
        self._board.changed(batch_id)
        self._board.work.set()
        return batch

    async def delete(self, user_id: str, batch_id: str) -> None:
        """Deletes a batch. Raises NotFoundError."""
        await self._finished(self._store.delete(user_id, batch_id))
        self._board.ended_by_user(batch_id)

    async def _finished(self, change: Coroutine[Any, Any, _Done]) -> _Done:
        """The outcome of a change that is not broken off when its caller goes."""
        task = asyncio.create_task(change)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Nothing of the same batch is begun before this has ended.
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()):
                logger.info("what a caller who has gone had begun could not be done", exc_info=error)
            raise


async def _arriving(parts: AsyncIterator[bytes], idle_seconds: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                part = await anext(parts, None)
        except TimeoutError:
            raise UploadCutError(idle_seconds) from None
        if part is None:
            return
        yield part
