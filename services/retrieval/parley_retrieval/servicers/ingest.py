"""IngestService."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from parley.retrieval.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from parley.system.v1.traffic_pb2 import ProcessFigures
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.tokens import current_principal

from parley_retrieval.domain.documents import sha256
from parley_retrieval.operations.ingestion import Ingestion
from parley_retrieval.ports.job_store import JobCursor
from parley_retrieval.ports.upload_form import UploadFormReader
from parley_retrieval.servicers.ingest_validation import check_job_id, check_jobs
from parley_retrieval.servicers.job_packing import job_message, states_of
from parley_retrieval.servicers.upload import open_upload

_PAGE_SIZE = 50
_AGAIN_SECONDS = 15.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56  # The year 4253, which a datetime still holds.
_ID = re.compile(r"job_[0-9a-f]{32}")


class IngestServicer(ingest_service_pb2_grpc.IngestServiceServicer):
    """Unpacks, checks, calls `Ingestion`, packs."""

    def __init__(
        self,
        ingestion: Ingestion,
        read_form: UploadFormReader,
        figures: Callable[[], ProcessFigures],
        *,
        idle_seconds: float,
    ) -> None:
        """The use cases, and what tells of this process. An upload in which nothing comes for `idle_seconds` is ended, and a watched job is
        told more often.
        """
        self._ingestion = ingestion
        self._read_form = read_form
        self._figures = figures
        self._idle_seconds = idle_seconds

    async def Ingest(
        self, requests: AsyncIterator[ingest_service_pb2.IngestRequest], _context: Any
    ) -> ingest_service_pb2.IngestResponse:
        """See the contract."""
        facts, content = await open_upload(requests, self._read_form, idle_seconds=self._idle_seconds)
        seen, duplicate = await self._ingestion.ingest(current_principal().user_id, facts, content)
        return ingest_service_pb2.IngestResponse(
            job_id=seen.job.job_id,
            document_id=seen.job.document_id,
            job=job_message(seen),
            duplicate=duplicate,
        )

    async def GetJob(
        self, request: ingest_service_pb2.GetJobRequest, _context: Any
    ) -> ingest_service_pb2.GetJobResponse:
        """See the contract."""
        check_job_id(request.job_id)
        seen = await self._ingestion.get(current_principal().user_id, request.job_id)
        return ingest_service_pb2.GetJobResponse(job=job_message(seen))

    async def WatchJob(
        self, request: ingest_service_pb2.WatchJobRequest, _context: Any
    ) -> AsyncIterator[ingest_service_pb2.WatchJobResponse]:
        """See the contract."""
        check_job_id(request.job_id)
        again_seconds = min(_AGAIN_SECONDS, self._idle_seconds / 3)
        user_id = current_principal().user_id
        async for seen in self._ingestion.watch(user_id, request.job_id, again_seconds=again_seconds):
            yield ingest_service_pb2.WatchJobResponse(job=job_message(seen))

    async def ListJobs(
        self, request: ingest_service_pb2.ListJobsRequest, _context: Any
    ) -> ingest_service_pb2.ListJobsResponse:
        """See the contract."""
        check_jobs(request)
        states = states_of(request.states)
        # A token goes on with the list that it came from: other states, another list.
        list_name = f"jobs/{sha256(','.join(sorted(state.value for state in states)))[:16]}"
        after = _cursor(decode_page_token(list_name, request.page_token))
        jobs, end = await self._ingestion.page(
            current_principal().user_id, states, after, request.page_size or _PAGE_SIZE
        )
        return ingest_service_pb2.ListJobsResponse(
            jobs=[job_message(seen) for seen in jobs],
            next_page_token=encode_page_token(list_name, _values(end)) if end else "",
        )

    async def CancelJob(
        self, request: ingest_service_pb2.CancelJobRequest, _context: Any
    ) -> ingest_service_pb2.CancelJobResponse:
        """See the contract."""
        check_job_id(request.job_id)
        seen, cancelled = await self._ingestion.cancel(current_principal().user_id, request.job_id)
        return ingest_service_pb2.CancelJobResponse(job=job_message(seen), cancelled=cancelled)

    async def RetryJob(
        self, request: ingest_service_pb2.RetryJobRequest, _context: Any
    ) -> ingest_service_pb2.RetryJobResponse:
        """See the contract."""
        check_job_id(request.job_id)
        seen = await self._ingestion.retry(current_principal().user_id, request.job_id)
        return ingest_service_pb2.RetryJobResponse(job=job_message(seen))

    async def GetIngestionQueue(
        self, request: ingest_service_pb2.GetIngestionQueueRequest, _context: Any
    ) -> ingest_service_pb2.GetIngestionQueueResponse:
        """See the contract."""
        counts = await self._ingestion.counts()
        return ingest_service_pb2.GetIngestionQueueResponse(
            waiting_count=counts.waiting, running_count=counts.running, figures=self._figures()
        )


def _values(cursor: JobCursor) -> list[str | int]:
    return [(cursor.create_time - _EPOCH) // _MICROSECOND, cursor.job_id]


def _cursor(values: list[str | int] | None) -> JobCursor | None:
    if values is None:
        return None
    # A page token is not signed: what it holds is as foreign as any other field.
    match values:
        case [int(microseconds), str(job_id)] if 0 <= microseconds < _MICROSECONDS_MOST and _ID.fullmatch(job_id):
            return JobCursor(_EPOCH + microseconds * _MICROSECOND, job_id)
        case _:
            raise invalid_page_token()
