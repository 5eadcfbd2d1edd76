"""BatchService as one person calls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from parley.chat.v1 import batch_pb2, batch_service_pb2_grpc
from parley.chat.v1 import batch_service_pb2 as pb

from parley_testing.running_chat import Metadata

SECONDS = 60
"""How long anything may take before a test gives it up."""


def jsonl(*lines: object) -> bytes:
    """A line of JSON for each."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(SECONDS):
        while not await look():  # noqa: ASYNC110 - what is looked for happens in another process, or in a database
            await asyncio.sleep(0.05)


class Batches:
    """The calls of one person."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self.stub: Any = batch_service_pb2_grpc.BatchServiceStub(channel)
        self.metadata = metadata

    async def create(self, lines: bytes, **names: Any) -> pb.CreateBatchResponse:
        """Sends the lines in pieces that end where no line does."""

        async def requests() -> AsyncIterator[pb.CreateBatchRequest]:
            yield pb.CreateBatchRequest(**names)
            for start in range(0, len(lines), 7_777):
                yield pb.CreateBatchRequest(chunk=lines[start : start + 7_777])

        response: pb.CreateBatchResponse = await self.stub.CreateBatch(requests(), metadata=self.metadata)
        return response

    async def batch(self, *lines: object, **names: str) -> str:
        """Sends a batch; gives its id."""
        return (await self.create(jsonl(*lines), **names)).batch.batch_id

    async def get(self, batch_id: str) -> batch_pb2.Batch:
        """The batch as it is."""
        found: batch_pb2.Batch = (await self.call("GetBatch", pb.GetBatchRequest(batch_id=batch_id))).batch
        return found

    async def kept(self) -> list[batch_pb2.Batch]:
        """The batches of the first page."""
        return list((await self.call("ListBatches", pb.ListBatchesRequest())).batches)

    async def until(self, batch_id: str, *states: batch_pb2.BatchState.ValueType) -> batch_pb2.Batch:
        """Watches until the batch is in one of the states, or has ended."""
        last = batch_pb2.Batch()
        async with asyncio.timeout(SECONDS):
            watching = self.stub.WatchBatch(pb.WatchBatchRequest(batch_id=batch_id), metadata=self.metadata)
            async for response in watching:
                last = response.batch
                if last.state in states:
                    break
        return last

    async def lines(self, batch_id: str, after_line: int = 0) -> list[dict[str, Any]]:
        """The results until now."""
        request = pb.GetBatchResultsRequest(batch_id=batch_id, after_line=after_line)
        reading = self.stub.GetBatchResults(request, metadata=self.metadata)
        data = b"".join([response.results.data async for response in reading])
        assert not data or data.endswith(b"\n")
        return [json.loads(line) for line in data.splitlines()]

    async def cancel(self, batch_id: str) -> batch_pb2.Batch:
        """Cancels; gives the batch as it is then."""
        ended: batch_pb2.Batch = (await self.call("CancelBatch", pb.CancelBatchRequest(batch_id=batch_id))).batch
        return ended

    async def call(self, name: str, request: Any) -> Any:
        """Any other call."""
        return await getattr(self.stub, name)(request, metadata=self.metadata)
