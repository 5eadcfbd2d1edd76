"""Files for tests, and somebody who hands them in: the calls of IngestService that tests make most, on any channel."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import docx
import grpc
from fpdf import FPDF
from parley.retrieval.v1 import ingest_service_pb2 as pb
from parley.retrieval.v1 import ingest_service_pb2_grpc, job_pb2

SECONDS = 90.0
"""How long a test waits for what is sure to come."""


@dataclass(frozen=True)
class Sender:
    """A user of IngestService."""

    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]

    @property
    def stub(self) -> Any:
        """Every rpc."""
        return ingest_service_pb2_grpc.IngestServiceStub(self.channel)

    async def send(self, content: bytes, **facts: Any) -> pb.IngestResponse:
        """Hands a file in."""

        async def parts() -> AsyncIterator[pb.IngestRequest]:
            yield pb.IngestRequest(metadata=pb.IngestMetadata(**facts))
            for start in range(0, len(content), 1_000_000):
                yield pb.IngestRequest(chunk=content[start : start + 1_000_000])

        response: pb.IngestResponse = await self.stub.Ingest(parts(), metadata=self.metadata, timeout=SECONDS)
        return response

    async def job(self, job_id: str) -> job_pb2.Job:
        """A job as it is."""
        response: pb.GetJobResponse = await self.stub.GetJob(pb.GetJobRequest(job_id=job_id), metadata=self.metadata)
        return response.job

    async def watch(self, job_id: str) -> list[job_pb2.Job]:
        """A job in all the ways it was in, to its end."""
        watching = self.stub.WatchJob(pb.WatchJobRequest(job_id=job_id), metadata=self.metadata, timeout=SECONDS)
        return [response.job async for response in watching]

    async def ended(self, content: bytes, **facts: Any) -> job_pb2.Job:
        """Hands a file in and waits for its job's end."""
        return (await self.watch((await self.send(content, **facts)).job_id))[-1]

    async def cancel(self, job_id: str) -> pb.CancelJobResponse:
        """Cancels a job."""
        request = pb.CancelJobRequest(job_id=job_id)
        response: pb.CancelJobResponse = await self.stub.CancelJob(request, metadata=self.metadata, timeout=SECONDS)
        return response

    async def retry(self, job_id: str) -> job_pb2.Job:
        """Begins a job again."""
        response: pb.RetryJobResponse = await self.stub.RetryJob(
            pb.RetryJobRequest(job_id=job_id), metadata=self.metadata
        )
        return response.job

    async def jobs(self, **fields: Any) -> pb.ListJobsResponse:
        """One page of jobs."""
        response: pb.ListJobsResponse = await self.stub.ListJobs(pb.ListJobsRequest(**fields), metadata=self.metadata)
        return response


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what another process does, and tells nobody."""
    async with asyncio.timeout(SECONDS):
        while not await condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """A PDF with a page for each text."""
    document = FPDF()
    if title:
        document.set_title(title)
    if password:
        document.set_encryption(owner_password=f"{password} of the owner", user_password=password)
    document.set_font("Helvetica", size=11)
    for page in pages:
        document.add_page()
        if page:
            document.multi_cell(0, 6, page)
    return bytes(document.output())


def pdf_with_outline(*sections: tuple[int, str, str]) -> bytes:
    """A PDF whose sections have a level from 0, a bookmark and a text. A level of -1 begins a page without a bookmark."""
    document = FPDF()
    document.set_font("Helvetica", size=11)
    document.add_page()
    for level, bookmark, text in sections:
        if level < 0:
            document.add_page()
        else:
            document.start_section(bookmark, level)
        if text:
            document.multi_cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def word(*, title: str = "") -> bytes:
    """A Word file with headings, a list, and a table between two paragraphs."""
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading("Waders", 1)
    document.add_paragraph("The avocet sweeps its bill through the mud.")
    table = document.add_table(2, 2)
    for place, value in enumerate(["Bird", "Legs", "Stilt", "pink"]):
        table.cell(place // 2, place % 2).text = value
    document.add_heading("Feet", 2)
    document.add_paragraph("Long toes", style="List Bullet")
    document.add_paragraph("The jacana walks on leaves.")
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()
