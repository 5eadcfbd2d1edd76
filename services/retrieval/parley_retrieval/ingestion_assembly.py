"""Puts files and jobs together, for `bootstrap.py`: what is plugged into what, and what runs beside the calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from parley.retrieval.v1 import ingest_service_pb2_grpc
from parley.system.v1.traffic_pb2 import ProcessFigures
from parley_shared.serving import Registration
from parley_shared.settings import SettingsError
from parley_shared.sql import Database

from parley_retrieval.adapters.folder_blob_store import FolderBlobStore
from parley_retrieval.adapters.multipart_upload_form import read_form
from parley_retrieval.adapters.otel_metrics import OtelMetrics
from parley_retrieval.adapters.process_file_reader import ProcessFileReader
from parley_retrieval.adapters.sql_job_leases import SqlJobLeases
from parley_retrieval.adapters.sql_job_store import SqlJobStore
from parley_retrieval.domain.jobs import Job, JobClaim, UserLimits
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.ingestion import Ingestion
from parley_retrieval.operations.job_board import JobBoard
from parley_retrieval.operations.job_run import JobRun, JobTools
from parley_retrieval.operations.job_worker import JobWorker
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.ports.document_store import DocumentStore
from parley_retrieval.servicers.ingest import IngestServicer
from parley_retrieval.settings import RetrievalSettings

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 3_600.0


async def open_ingestion(
    settings: RetrievalSettings,
    database: Database,
    documents: DocumentStore,
    indexing: Indexing,
    meanings: Meanings,
    closing: AsyncExitStack,
) -> Ingestion:
    """The use cases of files and jobs, with a worker beside them that is stopped by `closing`. Raises SettingsError."""
    own = settings.ingestion
    blobs = FolderBlobStore(own.files_folder)
    try:
        await asyncio.to_thread(blobs.open)
    except OSError as error:
        name = "PARLEY_RETRIEVAL_FILES_FOLDER"
        raise SettingsError(name, f"{name}: {own.files_folder} cannot be used: {error.strerror}.") from error
    board = JobBoard()
    ingestion = Ingestion(SqlJobStore(database), blobs, indexing, board, limits=user_limits(settings))
    leases = SqlJobLeases(database, own.job_lease_seconds)
    if database.dialect == "sqlite":
        # Nobody else has this database: whoever had jobs is dead.
        await leases.free_all()
    reader = ProcessFileReader(
        seconds=own.read_seconds, memory_bytes=own.read_memory_bytes, text_characters=own.text_characters
    )
    tools = JobTools(
        leases=leases,
        blobs=blobs,
        reader=reader,
        documents=documents,
        indexing=indexing,
        meanings=meanings,
        board=board,
        documents_per_user=settings.documents_per_user,
        first_retry_seconds=own.job_retry_seconds,
        metrics=OtelMetrics(),
    )

    def make_run(job: Job, claim: JobClaim) -> JobRun:
        return JobRun(job, claim, tools)

    if own.job_workers:
        worker = JobWorker(leases, board, make_run, at_once=own.job_workers, lease_seconds=own.job_lease_seconds)
        worker.start()
        closing.push_async_callback(worker.stop)
    closing.push_async_callback(ingestion.settle)
    sweeping = asyncio.create_task(_sweep(ingestion), name="sweeping of files")
    closing.push_async_callback(_cancel, sweeping)
    return ingestion


def user_limits(settings: RetrievalSettings) -> UserLimits:
    """What one user may have."""
    own = settings.ingestion
    return UserLimits(
        documents=settings.documents_per_user, bytes=own.bytes_per_user, unfinished_jobs=own.jobs_per_user
    )


def ingest_registration(
    settings: RetrievalSettings, ingestion: Ingestion, figures: Callable[[], ProcessFigures]
) -> Registration:
    """IngestService, to be served. `figures` are what the process tells of itself."""
    return Registration(
        ingest_service_pb2_grpc.add_IngestServiceServicer_to_server,
        IngestServicer(ingestion, read_form, figures, idle_seconds=settings.service.stream_idle_seconds),
        "parley.retrieval.v1.IngestService",
    )


async def _sweep(ingestion: Ingestion) -> None:
    while True:
        try:
            if swept := await ingestion.sweep():
                logger.info("files that no job has were deleted", extra={"files": swept})
        except Exception:
            # A later round tries again; nobody waits for it.
            logger.exception("files could not be swept")
        await asyncio.sleep(_SWEEP_SECONDS)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
