"""The work of retrieval, as it says itself: files to make searchable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from parley.retrieval.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.process_packing import process_from
from parley_chat.domain.traffic import ProcessReport
from parley_chat.ports.work_queues import QueueReport

_SECONDS = 1.0


class GrpcIngestionQueue:
    """The port `WorkQueues`, through a channel to retrieval."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], str]) -> None:
        self._count = ingest_service_pb2_grpc.IngestServiceStub(channel).GetIngestionQueue
        self._token = token
        self._process: ProcessReport | None = None

    async def reports(self) -> Sequence[QueueReport]:
        """Asks retrieval."""
        request = ingest_service_pb2.GetIngestionQueueRequest()
        try:
            queue = await self._count(request, metadata=bearer(self._token()), timeout=_SECONDS)
        except grpc.aio.AioRpcError:
            self._process = None
            return ()  # Whatever the reason: it does not answer, which the state of the service says.
        self._process = process_from(queue.figures) if queue.HasField("figures") else None
        return (QueueReport("ingestion", "retrieval", waiting=queue.waiting_count, running=queue.running_count),)

    def latest(self) -> ProcessReport | None:
        """What retrieval said of itself when it was asked for its queue last."""
        return self._process
