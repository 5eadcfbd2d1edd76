"""Webhooks: `parley.events.v1`. They deliver events to servers; a receiver verifies them with any library for Standard Webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from parley.events.v1 import webhook_pb2
from parley.events.v1 import webhook_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["WebhookService"]
CREATE_WEBHOOK = Rpc(_SERVICE, "CreateWebhook", pb.CreateWebhookRequest, pb.CreateWebhookResponse)
LIST_WEBHOOKS = Rpc(_SERVICE, "ListWebhooks", pb.ListWebhooksRequest, pb.ListWebhooksResponse)
GET_WEBHOOK = Rpc(_SERVICE, "GetWebhook", pb.GetWebhookRequest, pb.GetWebhookResponse)
UPDATE_WEBHOOK = Rpc(_SERVICE, "UpdateWebhook", pb.UpdateWebhookRequest, pb.UpdateWebhookResponse)
ROTATE_SECRET = Rpc(_SERVICE, "RotateWebhookSecret", pb.RotateWebhookSecretRequest, pb.RotateWebhookSecretResponse)
DELETE_WEBHOOK = Rpc(_SERVICE, "DeleteWebhook", pb.DeleteWebhookRequest, pb.DeleteWebhookResponse)
TEST_WEBHOOK = Rpc(_SERVICE, "TestWebhook", pb.TestWebhookRequest, pb.TestWebhookResponse)
LIST_DELIVERIES = Rpc(
    _SERVICE, "ListWebhookDeliveries", pb.ListWebhookDeliveriesRequest, pb.ListWebhookDeliveriesResponse
)
REDELIVER_EVENT = Rpc(_SERVICE, "RedeliverEvent", pb.RedeliverEventRequest, pb.RedeliverEventResponse)


class Webhooks:
    """`client.webhooks`: servers that events are delivered to. Raises ParleyError; NotFoundError for another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self, url: str, *, description: str = "", event_types: Iterable[str] = ()
    ) -> pb.CreateWebhookResponse:
        """Makes a webhook for types like `task.created` or `task.*`, or for all. The answer has its secret, this one time."""
        request = pb.CreateWebhookRequest(url=url, description=description, event_types=event_types)
        return await self._connection.call(CREATE_WEBHOOK, request)

    async def list(self) -> Sequence[webhook_pb2.Webhook]:
        """All of the user's, the oldest first."""
        return (await self._connection.call(LIST_WEBHOOKS, pb.ListWebhooksRequest())).webhooks

    async def get(self, webhook_id: str) -> webhook_pb2.Webhook:
        """One webhook, and how its deliveries stand."""
        return (await self._connection.call(GET_WEBHOOK, pb.GetWebhookRequest(webhook_id=webhook_id))).webhook

    async def update(self, request: pb.UpdateWebhookRequest) -> webhook_pb2.Webhook:
        """Changes the fields that the request's `update_mask` names, and returns the webhook as it is now."""
        return (await self._connection.call(UPDATE_WEBHOOK, request)).webhook

    async def rotate_secret(
        self, webhook_id: str, *, overlap_seconds: int | None = None
    ) -> pb.RotateWebhookSecretResponse:
        """Gives it a new secret; for a day, or so many seconds, the old one signs too. The answer has the new one, this one time."""
        request = pb.RotateWebhookSecretRequest(webhook_id=webhook_id, overlap_seconds=overlap_seconds)
        return await self._connection.call(ROTATE_SECRET, request)

    async def delete(self, webhook_id: str) -> None:
        """Deletes a webhook for good."""
        await self._connection.call(DELETE_WEBHOOK, pb.DeleteWebhookRequest(webhook_id=webhook_id))

    async def test(self, webhook_id: str) -> webhook_pb2.WebhookDelivery:
        """Sends a test now, and says how that ended."""
        return (await self._connection.call(TEST_WEBHOOK, pb.TestWebhookRequest(webhook_id=webhook_id))).delivery

    async def deliveries(self, webhook_id: str, *, page_size: int = 0) -> Sequence[webhook_pb2.WebhookDelivery]:
        """The last attempts to deliver, the newest first."""
        request = pb.ListWebhookDeliveriesRequest(webhook_id=webhook_id, page_size=page_size)
        return (await self._connection.call(LIST_DELIVERIES, request)).deliveries

    async def redeliver(self, webhook_id: str, sequence: int) -> webhook_pb2.WebhookDelivery:
        """Sends one event again now, and says how that ended."""
        request = pb.RedeliverEventRequest(webhook_id=webhook_id, sequence=sequence)
        return (await self._connection.call(REDELIVER_EVENT, request)).delivery
