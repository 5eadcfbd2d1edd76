"""Many prompts at once, written while nobody waits: `parley.chat.v1.BatchService`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from parley.chat.v1 import batch_pb2
from parley.chat.v1 import batch_service_pb2 as pb

from parley_client.backoff import Backoff
from parley_client.errors import ParleyError
from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

# The contract takes a million bytes in a message.
_CHUNK_BYTES = 256 * 1024
# A batch of the largest size over a slow line.
_UPLOAD_SECONDS = 3600.0
_ENDED = (batch_pb2.BATCH_STATE_DONE, batch_pb2.BATCH_STATE_CANCELLED)

_SERVICE = pb.DESCRIPTOR.services_by_name["BatchService"]
CREATE_BATCH = Rpc(_SERVICE, "CreateBatch", pb.CreateBatchRequest, pb.CreateBatchResponse)
GET_BATCH = Rpc(_SERVICE, "GetBatch", pb.GetBatchRequest, pb.GetBatchResponse)
LIST_BATCHES = Rpc(_SERVICE, "ListBatches", pb.ListBatchesRequest, pb.ListBatchesResponse)
WATCH_BATCH = Rpc(_SERVICE, "WatchBatch", pb.WatchBatchRequest, pb.WatchBatchResponse)
GET_BATCH_RESULTS = Rpc(_SERVICE, "GetBatchResults", pb.GetBatchResultsRequest, pb.GetBatchResultsResponse)
CANCEL_BATCH = Rpc(_SERVICE, "CancelBatch", pb.CancelBatchRequest, pb.CancelBatchResponse)
CONTINUE_BATCH = Rpc(_SERVICE, "ContinueBatch", pb.ContinueBatchRequest, pb.ContinueBatchResponse)
DELETE_BATCH = Rpc(_SERVICE, "DeleteBatch", pb.DeleteBatchRequest, pb.DeleteBatchResponse)


class Batches:
    """`client.batches`: prompts in JSONL, and their results. Raises ParleyError; NotFoundError for another's batch."""

    def __init__(self, connection: Connection, stream_backoff: Backoff) -> None:
        self._connection = connection
        self._stream_backoff = stream_backoff

    async def create(
        self, lines: Path | bytes, *, client_batch_id: str = "", title: str = "", model: str = ""
    ) -> pb.CreateBatchResponse:
        """Sends a batch: a file of JSONL, or its bytes. InvalidArgumentError names bad lines, `lines[7].prompt`; nothing is stored then.

        client_batch_id: a name, so that the same can be sent again without being written twice: `duplicate` then says so.
        model: for lines that name none. OSError when the path cannot be read.
        """
        if isinstance(lines, Path):
            # Before anything is sent: what cannot be opened is no batch.
            await asyncio.to_thread(lambda: lines.open("rb").close())
        unreadable: list[OSError] = []

        async def requests() -> AsyncIterator[pb.CreateBatchRequest]:
            try:
                yield pb.CreateBatchRequest(client_batch_id=client_batch_id, title=title, model=model)
                async for chunk in _chunks(lines):
                    yield pb.CreateBatchRequest(chunk=chunk)
            except OSError as error:
                unreadable.append(error)
                raise

        try:
            return await self._connection.upload(CREATE_BATCH, requests, timeout_seconds=_UPLOAD_SECONDS)
        except asyncio.CancelledError:
            # gRPC cancels a call whose requests fail, and keeps to itself why.
            if unreadable:
                raise unreadable[0] from None
            raise

    async def get(self, batch_id: str) -> batch_pb2.Batch:
        """One batch, as it is."""
        return (await self._connection.call(GET_BATCH, pb.GetBatchRequest(batch_id=batch_id))).batch

    def list(self, *, page_size: int = 0) -> AsyncIterator[batch_pb2.Batch]:
        """The user's batches, newest first."""

        async def page(token: str) -> pb.ListBatchesResponse:
            request = pb.ListBatchesRequest(page_size=page_size, page_token=token)
            return await self._connection.call(LIST_BATCHES, request)

        return items_of_pages(page, lambda response: response.batches)

    async def watch(self, batch_id: str) -> AsyncGenerator[batch_pb2.Batch, None]:
        """A batch as it is, and again whenever it changes, until it has ended. A stream that is cut is begun again, with pauses."""
        failures = 0
        while True:
            try:
                stream = self._connection.stream(WATCH_BATCH, pb.WatchBatchRequest(batch_id=batch_id))
                async with aclosing(stream) as changes:
                    async for change in changes:
                        failures = 0
                        yield change.batch
                        if change.batch.state in _ENDED:
                            return
            except ParleyError as error:
                failures += 1
                pause = self._stream_backoff.pause_seconds(failures, error.retry_after) if error.retryable else None
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def results(self, batch_id: str, *, after_line: int = 0) -> AsyncGenerator[bytes, None]:
        """The results as JSONL, in pieces that need not end where lines do: what has ended until now, in the order of the input."""
        request = pb.GetBatchResultsRequest(batch_id=batch_id, after_line=after_line)
        async with aclosing(self._connection.stream(GET_BATCH_RESULTS, request)) as pieces:
            async for piece in pieces:
                yield piece.results.data

    async def cancel(self, batch_id: str) -> pb.CancelBatchResponse:
        """Cancels a batch; what was written stays. Harmless when it had ended before."""
        return await self._connection.call(CANCEL_BATCH, pb.CancelBatchRequest(batch_id=batch_id))

    async def go_on(self, batch_id: str) -> batch_pb2.Batch:
        """Goes on with a paused batch. FailedPreconditionError for any other."""
        return (await self._connection.call(CONTINUE_BATCH, pb.ContinueBatchRequest(batch_id=batch_id))).batch

    async def delete(self, batch_id: str) -> None:
        """Deletes a batch with its results, for good."""
        await self._connection.call(DELETE_BATCH, pb.DeleteBatchRequest(batch_id=batch_id))


async def _chunks(lines: Path | bytes) -> AsyncIterator[bytes]:
    """The bytes in pieces; a file is read in a thread and never whole."""
    if isinstance(lines, bytes):
        for start in range(0, len(lines), _CHUNK_BYTES):
            yield lines[start : start + _CHUNK_BYTES]
        return
    opened = await asyncio.to_thread(lines.open, "rb")
    try:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(opened.close)
