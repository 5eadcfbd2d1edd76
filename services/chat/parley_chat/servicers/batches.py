"""BatchService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import grpc
from parley.chat.v1 import batch_service_pb2 as pb
from parley.chat.v1 import batch_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.operations.batches import Batches
from parley_chat.servicers.batch_packing import pack_batch, result_line
from parley_chat.servicers.batch_requests import (
    check_batch_id,
    check_results,
    next_page,
    parts_of,
    read_page,
    wish_of,
)

_AGAIN_SECONDS = 15.0
_PIECE_BYTES = 256_000
_CONTENT_TYPE = "application/jsonl"

Context = grpc.aio.ServicerContext[object, object]


class BatchServicer(batch_service_pb2_grpc.BatchServiceServicer):
    """Serves batches to their users."""

    def __init__(self, batches: Batches, *, retention: timedelta, idle_seconds: float) -> None:
        """The use cases; an upload in which nothing comes for `idle_seconds` is ended, and a watched batch is told more often."""
        self._batches = batches
        self._retention = retention
        self._idle_seconds = idle_seconds

    async def CreateBatch(
        self, requests: AsyncIterator[pb.CreateBatchRequest], context: Context
    ) -> pb.CreateBatchResponse:
        """Takes the lines."""
        first = await anext(aiter(requests), None)
        async with aclosing(parts_of(first, aiter(requests))) as parts:
            batch, duplicate = await self._batches.create(
                current_principal().user_id, wish_of(first), parts, idle_seconds=self._idle_seconds
            )
        return pb.CreateBatchResponse(batch=pack_batch(batch, self._retention), duplicate=duplicate)

    async def GetBatch(self, request: pb.GetBatchRequest, context: Context) -> pb.GetBatchResponse:
        """Gets one."""
        check_batch_id(request.batch_id)
        batch = await self._batches.get(current_principal().user_id, request.batch_id)
        return pb.GetBatchResponse(batch=pack_batch(batch, self._retention))

    async def ListBatches(self, request: pb.ListBatchesRequest, context: Context) -> pb.ListBatchesResponse:
        """Lists a page."""
        size, after = read_page(request)
        found, following = await self._batches.page(current_principal().user_id, size, after)
        return pb.ListBatchesResponse(
            batches=[pack_batch(batch, self._retention) for batch in found], next_page_token=next_page(following)
        )

    async def WatchBatch(self, request: pb.WatchBatchRequest, context: Context) -> AsyncIterator[pb.WatchBatchResponse]:
        """Tells how far one is."""
        check_batch_id(request.batch_id)
        again_seconds = min(_AGAIN_SECONDS, self._idle_seconds / 3)
        user_id = current_principal().user_id
        async with aclosing(self._batches.watch(user_id, request.batch_id, again_seconds=again_seconds)) as states:
            async for batch in states:
                yield pb.WatchBatchResponse(batch=pack_batch(batch, self._retention))

    async def GetBatchResults(
        self, request: pb.GetBatchResultsRequest, context: Context
    ) -> AsyncIterator[pb.GetBatchResultsResponse]:
        """Sends the results, in pieces that are not large. Without a result there is one empty piece."""
        check_results(request)
        user_id = current_principal().user_id
        piece, sent = bytearray(), False
        async with aclosing(self._batches.results(user_id, request.batch_id, request.after_line)) as pages:
            async for page in pages:
                for line in page:
                    piece += result_line(request.batch_id, line)
                    while len(piece) >= _PIECE_BYTES:
                        yield _results(bytes(piece[:_PIECE_BYTES]))
                        sent = True
                        del piece[:_PIECE_BYTES]
        if piece or not sent:
            yield _results(bytes(piece))

    async def CancelBatch(self, request: pb.CancelBatchRequest, context: Context) -> pb.CancelBatchResponse:
        """Cancels."""
        check_batch_id(request.batch_id)
        batch, cancelled = await self._batches.cancel(current_principal().user_id, request.batch_id)
        return pb.CancelBatchResponse(batch=pack_batch(batch, self._retention), cancelled=cancelled)

    async def ContinueBatch(self, request: pb.ContinueBatchRequest, context: Context) -> pb.ContinueBatchResponse:
        """Goes on."""
        check_batch_id(request.batch_id)
        batch = await self._batches.resume(current_principal().user_id, request.batch_id)
        return pb.ContinueBatchResponse(batch=pack_batch(batch, self._retention))

    async def DeleteBatch(self, request: pb.DeleteBatchRequest, context: Context) -> pb.DeleteBatchResponse:
        """Deletes."""
        check_batch_id(request.batch_id)
        await self._batches.delete(current_principal().user_id, request.batch_id)
        return pb.DeleteBatchResponse()


def _results(data: bytes) -> pb.GetBatchResultsResponse:
    response = pb.GetBatchResultsResponse()
    response.results.content_type = _CONTENT_TYPE
    response.results.data = data
    return response
