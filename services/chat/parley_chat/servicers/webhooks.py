"""WebhookService: unpacks, checks, calls, packs."""

from __future__ import annotations

import grpc
from parley.events.v1 import webhook_service_pb2, webhook_service_pb2_grpc
from parley_shared.status import StatusError
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain.outbound import OutboundRules
from parley_chat.domain.webhooks import READ_SCOPE
from parley_chat.operations.webhooks import Webhooks
from parley_chat.servicers import webhook_fields

MOST_SEQUENCE = 2**63 - 1

Context = grpc.aio.ServicerContext[object, object]


class WebhookServicer(webhook_service_pb2_grpc.WebhookServiceServicer):
    """Serves webhooks to their user."""

    def __init__(self, webhooks: Webhooks, rules: OutboundRules) -> None:
        self._webhooks = webhooks
        self._rules = rules

    async def CreateWebhook(
        self, request: webhook_service_pb2.CreateWebhookRequest, context: Context
    ) -> webhook_service_pb2.CreateWebhookResponse:
        """Makes a webhook."""
        _check_may_read()
        new = webhook_fields.new_webhook(request, self._rules)
        kept, secret = await self._webhooks.create(current_principal().user_id, *new)
        return webhook_service_pb2.CreateWebhookResponse(webhook=webhook_fields.pack_kept(kept), secret=secret)

    async def ListWebhooks(
        self, request: webhook_service_pb2.ListWebhooksRequest, context: Context
    ) -> webhook_service_pb2.ListWebhooksResponse:
        """Lists webhooks."""
        found = await self._webhooks.list(current_principal().user_id)
        return webhook_service_pb2.ListWebhooksResponse(webhooks=[webhook_fields.pack_kept(kept) for kept in found])

    async def GetWebhook(
        self, request: webhook_service_pb2.GetWebhookRequest, context: Context
    ) -> webhook_service_pb2.GetWebhookResponse:
        """Gets one webhook."""
        webhook_fields.check_webhook_id(request.webhook_id)
        kept = await self._webhooks.get(current_principal().user_id, request.webhook_id)
        return webhook_service_pb2.GetWebhookResponse(webhook=webhook_fields.pack_kept(kept))

    async def UpdateWebhook(
        self, request: webhook_service_pb2.UpdateWebhookRequest, context: Context
    ) -> webhook_service_pb2.UpdateWebhookResponse:
        """Changes a webhook."""
        _check_may_read()
        changes = webhook_fields.changes_of(request, self._rules)
        kept = await self._webhooks.update(
            current_principal().user_id, request.webhook_id, changes, skip_missed=request.skip_missed
        )
        return webhook_service_pb2.UpdateWebhookResponse(webhook=webhook_fields.pack_kept(kept))

    async def RotateWebhookSecret(
        self, request: webhook_service_pb2.RotateWebhookSecretRequest, context: Context
    ) -> webhook_service_pb2.RotateWebhookSecretResponse:
        """Gives a webhook a new secret."""
        overlap = webhook_fields.overlap_of(request)
        kept, secret = await self._webhooks.rotate_secret(current_principal().user_id, request.webhook_id, overlap)
        return webhook_service_pb2.RotateWebhookSecretResponse(webhook=webhook_fields.pack_kept(kept), secret=secret)

    async def DeleteWebhook(
        self, request: webhook_service_pb2.DeleteWebhookRequest, context: Context
    ) -> webhook_service_pb2.DeleteWebhookResponse:
        """Deletes a webhook."""
        webhook_fields.check_webhook_id(request.webhook_id)
        await self._webhooks.delete(current_principal().user_id, request.webhook_id)
        return webhook_service_pb2.DeleteWebhookResponse()

    async def TestWebhook(
        self, request: webhook_service_pb2.TestWebhookRequest, context: Context
    ) -> webhook_service_pb2.TestWebhookResponse:
        """Sends a test."""
        webhook_fields.check_webhook_id(request.webhook_id)
        delivery = await self._webhooks.test(current_principal().user_id, request.webhook_id)
        return webhook_service_pb2.TestWebhookResponse(delivery=webhook_fields.pack_delivery(delivery))

    async def ListWebhookDeliveries(
        self, request: webhook_service_pb2.ListWebhookDeliveriesRequest, context: Context
    ) -> webhook_service_pb2.ListWebhookDeliveriesResponse:
        """Lists the last attempts."""
        violations = Violations()
        violations.identifier("webhook_id", request.webhook_id, webhook_fields.WEBHOOK_PREFIX)
        violations.integer("page_size", request.page_size, least=0, most=webhook_fields.DELIVERIES_MOST)
        violations.check()
        found = await self._webhooks.deliveries(
            current_principal().user_id, request.webhook_id, request.page_size or webhook_fields.DELIVERIES_DEFAULT
        )
        packed = [webhook_fields.pack_delivery(delivery) for delivery in found]
        return webhook_service_pb2.ListWebhookDeliveriesResponse(deliveries=packed)

    async def RedeliverEvent(
        self, request: webhook_service_pb2.RedeliverEventRequest, context: Context
    ) -> webhook_service_pb2.RedeliverEventResponse:
        """Sends an event again."""
        violations = Violations()
        violations.identifier("webhook_id", request.webhook_id, webhook_fields.WEBHOOK_PREFIX)
        violations.integer("sequence", request.sequence, least=1, most=MOST_SEQUENCE)
        violations.check()
        delivery = await self._webhooks.redeliver(current_principal().user_id, request.webhook_id, request.sequence)
        return webhook_service_pb2.RedeliverEventResponse(delivery=webhook_fields.pack_delivery(delivery))


def _check_may_read() -> None:
    """A webhook reads for ever what its maker may read now."""
    if READ_SCOPE not in current_principal().scopes:
        raise StatusError(
            grpc.StatusCode.PERMISSION_DENIED,
            "ERROR_REASON_SCOPE_MISSING",
            f"A webhook tells what {READ_SCOPE} lets its maker read, and this token does not.",
            metadata={"scope": READ_SCOPE},
        )
