"""The status of the whole, plugged together. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from importlib.metadata import version

import grpc
from parley_shared.sql import Database

from parley_chat.adapters.grpc_ingestion_queue import GrpcIngestionQueue
from parley_chat.adapters.grpc_service_health import GrpcServiceHealth
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.sql_work_queues import SqlWorkQueues
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.system_status import StatusSources, SystemStatus
from parley_chat.operations.turns import Turns
from parley_chat.ports.model_catalog import ModelCatalog
from parley_chat.ports.tool_servers import ToolServerWatch
from parley_chat.settings import SERVICE


def open_status(
    database: Database,
    channels: Mapping[str, grpc.aio.Channel],
    service_tokens: ServiceTokens,
    catalog: ModelCatalog,
    tool_servers: ToolServerWatch,
    turns: Turns,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> SystemStatus:
    """Begins to watch the health of the other services. `channels` are theirs, by name."""

    def token() -> str:
        return service_tokens.for_user(SERVICE)

    health = GrpcServiceHealth(channels, token)
    health.start()
    closing.push_async_callback(health.close)
    queues = (SqlWorkQueues(database), GrpcIngestionQueue(channels["retrieval"], token))
    sources = StatusSources(health, catalog, queues, tool_servers, turns, OtelTracing())
    return SystemStatus(sources, SERVICE, version("parley-chat"), now)
