"""Webhooks, plugged together: what follows the log and delivers, and what serves the rpcs. bootstrap.py calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from parley.events.v1 import webhook_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.sql import Database

from parley_chat.adapters.httpx_webhook_sender import HttpxWebhookSender
from parley_chat.adapters.otel_metrics import OtelMetrics
from parley_chat.adapters.sql_webhook_queue import SqlWebhookQueue
from parley_chat.operations.webhook_delivering import WebhookDelivering
from parley_chat.operations.webhooks import Webhooks, WebhookSigning
from parley_chat.outbound_assembly import Outbound
from parley_chat.ports.event_log import EventLog
from parley_chat.ports.workspace import Workspaces
from parley_chat.servicers.webhook_payloads import EventPayloads
from parley_chat.servicers.webhooks import WebhookServicer

_LEASE_SECONDS = 60.0
"""More than one attempt takes: each that ends renews it."""


class WebhookParts:
    """Made before the workspaces, because it is told of their changes; begun after them."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        outbound: Outbound,
        now: Callable[[], datetime],
        closing: AsyncExitStack,
    ) -> None:
        self._is_only_process = database.dialect == "sqlite"
        self._log = log
        self._outbound = outbound
        self._now = now
        self._queue = SqlWebhookQueue(database, _LEASE_SECONDS)
        sender = HttpxWebhookSender(outbound.http)
        closing.push_async_callback(sender.close)
        self._signing = WebhookSigning(outbound.secrets, sender, now)
        self._payloads = EventPayloads()
        metrics = OtelMetrics()
        self.delivering = WebhookDelivering(
            log, self._queue, self._signing, self._payloads, now, on_attempt=metrics.webhook_attempt
        )
        closing.push_async_callback(self.delivering.close)

    async def start(self, workspaces: Workspaces) -> Registration:
        """Begins to deliver, and gives what is served."""
        if self._is_only_process:
            # Whoever had them is dead: nobody needs to wait for the ends of its leases.
            await self._queue.release_all()
        self.delivering.start(workspaces)
        webhooks = Webhooks(
            workspaces, self._log, self._queue, self._outbound.secrets, self._signing, self._payloads, self._now
        )
        return Registration(
            webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server,
            WebhookServicer(webhooks, self._outbound.http.rules),
            "parley.events.v1.WebhookService",
        )
