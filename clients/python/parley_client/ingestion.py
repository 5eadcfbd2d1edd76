"""Files that become documents, in jobs that survive any process: `parley.retrieval.v1.IngestService`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from parley.retrieval.v1 import ingest_service_pb2 as pb
from parley.retrieval.v1 import job_pb2

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

JobStateName: TypeAlias = Literal["queued", "running", "waiting_for_retry", "cancelled", "failed", "done"]
"""How far a job is."""

# The contract takes a million bytes in a message.
_CHUNK_BYTES = 256 * 1024
# A file of the largest size over a slow line.
_UPLOAD_SECONDS = 3600.0
_NO_LABELS: Mapping[str, str] = MappingProxyType({})

_SERVICE = pb.DESCRIPTOR.services_by_name["IngestService"]
INGEST = Rpc(_SERVICE, "Ingest", pb.IngestRequest, pb.IngestResponse)
GET_JOB = Rpc(_SERVICE, "GetJob", pb.GetJobRequest, pb.GetJobResponse)
WATCH_JOB = Rpc(_SERVICE, "WatchJob", pb.WatchJobRequest, pb.WatchJobResponse)
LIST_JOBS = Rpc(_SERVICE, "ListJobs", pb.ListJobsRequest, pb.ListJobsResponse)
CANCEL_JOB = Rpc(_SERVICE, "CancelJob", pb.CancelJobRequest, pb.CancelJobResponse)
RETRY_JOB = Rpc(_SERVICE, "RetryJob", pb.RetryJobRequest, pb.RetryJobResponse)


class Ingestion:
    """`client.ingestion`: uploads, and the jobs that make documents of them. Raises ParleyError; NotFoundError for another's job."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ingest(
        self,
        file: Path | bytes,
        *,
        filename: str = "",
        title: str = "",
        project: str = "",
        source_uri: str = "",
        labels: Mapping[str, str] = _NO_LABELS,
    ) -> pb.IngestResponse:
        """Uploads a file of up to 100,000,000 bytes, in pieces, and returns when its job is begun.

        `duplicate` says that the user had it already; the job is then the one there was.
        filename: what to call it; the path's own name by default. OSError when the path cannot be read.
        """
        metadata = pb.IngestMetadata(
            filename=filename or (file.name if isinstance(file, Path) else ""),
            title=title,
            project=project,
            source_uri=source_uri,
            labels=labels,
        )

        if isinstance(file, Path):
            # Before anything is sent: what cannot be opened is no upload.
            await asyncio.to_thread(lambda: file.open("rb").close())
        unreadable: list[OSError] = []

        async def requests() -> AsyncIterator[pb.IngestRequest]:
            try:
                yield pb.IngestRequest(metadata=metadata)
                async for chunk in _chunks(file):
                    yield pb.IngestRequest(chunk=chunk)
            except OSError as error:
                unreadable.append(error)
                raise

        try:
            return await self._connection.upload(INGEST, requests, timeout_seconds=_UPLOAD_SECONDS)
        except asyncio.CancelledError:
            # gRPC cancels a call whose requests fail, and keeps to itself why.
            if unreadable:
                raise unreadable[0] from None
            raise

    async def job(self, job_id: str) -> job_pb2.Job:
        """One job, as it is."""
        return (await self._connection.call(GET_JOB, pb.GetJobRequest(job_id=job_id))).job

    def watch(self, job_id: str) -> AsyncGenerator[pb.WatchJobResponse, None]:
        """A job as it is, and again whenever it changes, until it has ended."""
        return self._connection.stream(WATCH_JOB, pb.WatchJobRequest(job_id=job_id))

    def jobs(self, *, states: tuple[JobStateName, ...] = (), page_size: int = 0) -> AsyncIterator[job_pb2.Job]:
        """The user's jobs, newest first; only those in the states, when some are named."""
        numbers = [job_pb2.JobState.Value(f"JOB_STATE_{state.upper()}") for state in states]

        async def page(token: str) -> pb.ListJobsResponse:
            request = pb.ListJobsRequest(page_size=page_size, page_token=token, states=numbers)
            return await self._connection.call(LIST_JOBS, request)

        return items_of_pages(page, lambda response: response.jobs)

    async def cancel(self, job_id: str) -> pb.CancelJobResponse:
        """Cancels a job and takes back what it had done. Harmless when it had ended before."""
        return await self._connection.call(CANCEL_JOB, pb.CancelJobRequest(job_id=job_id))

    async def retry(self, job_id: str) -> job_pb2.Job:
        """Begins a failed or cancelled job again, where it ended."""
        return (await self._connection.call(RETRY_JOB, pb.RetryJobRequest(job_id=job_id))).job


async def _chunks(file: Path | bytes) -> AsyncIterator[bytes]:
    """The bytes in pieces; a file is read in a thread and never whole."""
    if isinstance(file, bytes):
        for start in range(0, len(file), _CHUNK_BYTES):
            yield file[start : start + _CHUNK_BYTES]
        return
    opened = await asyncio.to_thread(file.open, "rb")
    try:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(opened.close)
