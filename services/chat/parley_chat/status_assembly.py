"""The status of the whole, plugged together. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from importlib.metadata import version

import grpc
from parley_shared.sql import Database

from parley_chat.adapters.grpc_ingestion_queue import GrpcIngestionQueue
from parley_chat.adapters.grpc_model_catalog import GrpcModelCatalog
from parley_chat.adapters.grpc_service_health import GrpcServiceHealth
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.own_process import OwnProcess
from parley_chat.adapters.sql_work_queues import SqlWorkQueues
from parley_chat.domain.answer_tally import AnswerTally
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.system_status import StatusSources, SystemStatus
from parley_chat.operations.turns import Turns
from parley_chat.ports.process_reports import ProcessReports
from parley_chat.ports.tool_servers import ToolServerWatch
from parley_chat.settings import SERVICE, ChatSettings


def open_status(
    settings: ChatSettings,
    database: Database,
    channels: Mapping[str, grpc.aio.Channel],
    service_tokens: ServiceTokens,
    catalog: GrpcModelCatalog,
    tool_servers: ToolServerWatch,
    turns: Turns,
    tally: AnswerTally,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> SystemStatus:
    """Begins to watch the health of the other services. `channels` are theirs, by name."""

    def token() -> str:
        return service_tokens.for_user(SERVICE)

    health = GrpcServiceHealth(channels, token)
    health.start()
    closing.push_async_callback(health.close)
    ingestion = GrpcIngestionQueue(channels["retrieval"], token)
    processes: dict[str, ProcessReports] = {
        SERVICE: OwnProcess(database, turns_in_redis=bool(settings.redis_url)),
        "inference": catalog,
        "retrieval": ingestion,
    }
    sources = StatusSources(
        health,
        catalog,
        (SqlWorkQueues(database), ingestion),
        tool_servers,
        turns,
        processes,
        tally,
        OtelTracing(),
    )
    return SystemStatus(sources, SERVICE, version("parley-chat"), settings.trace_url, now)
