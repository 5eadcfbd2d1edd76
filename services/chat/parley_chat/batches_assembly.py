"""Puts the writing of batches together, and the service for their users."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from parley.chat.v1 import batch_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.sql import Database

from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.sql_batch_leases import SqlBatchLeases
from parley_chat.adapters.sql_batches import SqlBatches
from parley_chat.operations.batch_board import BatchBoard
from parley_chat.operations.batch_running import BatchRunning, RunningLimits
from parley_chat.operations.batches import Batches
from parley_chat.operations.text_generations import TextGenerations
from parley_chat.ports.event_log import EventNews
from parley_chat.servicers.batch_forms import JsonForms, UploadLimits
from parley_chat.servicers.batches import BatchServicer
from parley_chat.settings import ChatSettings


async def open_batches(
    settings: ChatSettings,
    database: Database,
    generations: TextGenerations,
    news: EventNews,
    closing: AsyncExitStack,
    now: Callable[[], datetime],
    *,
    has_replicas: bool,
) -> tuple[BatchRunning, Registration]:
    """Begins to write batches. `closing` ends it, without grace; who drains before gives some."""
    board = BatchBoard()
    store = SqlBatches(database, news)
    forms = JsonForms(
        UploadLimits(lines=settings.batch_lines, line_bytes=settings.batch_line_bytes, bytes=settings.batch_bytes)
    )
    retention = timedelta(days=settings.batch_retention_days)
    limits = RunningLimits(
        places=settings.batch_places,
        attempts=settings.batch_attempts,
        lease_seconds=settings.batch_lease_seconds,
        retention=retention,
    )
    leases = SqlBatchLeases(database, settings.batch_lease_seconds, news)
    running = BatchRunning(leases, store, forms, generations, board, OtelTracing(), limits, now)
    batches = Batches(store, forms, board, batches_per_user=settings.max_batches_per_user, now=now)
    closing.push_async_callback(batches.close)
    closing.push_async_callback(running.drain, 0)
    await running.start(is_only_process=not has_replicas)
    return running, Registration(
        batch_service_pb2_grpc.add_BatchServiceServicer_to_server,
        BatchServicer(batches, retention=retention, idle_seconds=settings.service.stream_idle_seconds),
        "parley.chat.v1.BatchService",
    )
