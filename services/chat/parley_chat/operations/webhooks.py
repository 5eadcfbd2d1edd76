"""What a user can do with webhooks. The delivering is webhook_delivering.py's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict
from uuid import uuid4

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_webhook
from parley_chat.domain.webhooks import (
    MOST_WEBHOOKS,
    TEST_TYPE,
    Delivery,
    DeliveryOutcome,
    DisableReason,
    SealedKeys,
    TooManyWebhooksError,
    Webhook,
    WebhookState,
    message_id,
    new_secret,
    new_webhook_id,
    purpose,
    signed_headers,
)
from parley_chat.ports.event_log import EventLog
from parley_chat.ports.secret_box import SecretBox, SecretLostError
from parley_chat.ports.webhook_sender import Sent, WebhookPayloads, WebhookSender
from parley_chat.ports.webhook_store import KeptWebhook, WebhookQueue
from parley_chat.ports.workspace import Workspaces

ROTATION_OVERLAP_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to a webhook."""

    message_id: str
    event_type: str
    sequence: int
    body: bytes


class WebhookChanges(TypedDict, total=False):
    """The fields of a webhook that change, and what they become."""

    url: str
    description: str
    event_types: tuple[str, ...]
    state: WebhookState


class WebhookSigning:
    """Signs and sends messages: for the rpcs, and for the delivering."""

    def __init__(self, box: SecretBox, sender: WebhookSender, now: Callable[[], datetime]) -> None:
        self._box = box
        self._sender = sender
        self._now = now

    async def send(
        self, webhook: Webhook, keys: SealedKeys, message: Message, attempt: int = 1
    ) -> tuple[Delivery, Sent]:
        """Makes one attempt, and gives how it ended. Raises SecretLostError."""
        begin, begun = self._now(), time.monotonic()
        secrets = [self._box.open(keys.secret, purpose(webhook.webhook_id))]
        expire = webhook.previous_secret_expire_time
        if keys.previous_secret and expire is not None and expire > begin:
            try:
                secrets.append(self._box.open(keys.previous_secret, purpose(webhook.webhook_id)))
            except SecretLostError:
                # The new one will do: it was made so that this one is not needed.
                secrets = secrets[:1]
        headers = signed_headers(secrets, message.message_id, begin, message.body)
        sent = await self._sender.send(webhook.url, headers, message.body)
        delivery = Delivery(
            message_id=message.message_id,
            event_type=message.event_type,
            sequence=message.sequence,
            attempt=attempt,
            time=begin,
            duration_ms=round((time.monotonic() - begun) * 1000),
            outcome=sent.outcome,
            status_code=sent.status_code,
            trouble=sent.trouble,
        )
        return delivery, sent


class Webhooks:
    """The webhooks of users."""

    def __init__(
        self,
        workspaces: Workspaces,
        log: EventLog,
        queue: WebhookQueue,
        box: SecretBox,
        signing: WebhookSigning,
        payloads: WebhookPayloads,
        now: Callable[[], datetime],
    ) -> None:
        self._workspaces = workspaces
        self._log = log
        self._queue = queue
        self._box = box
        self._signing = signing
        self._payloads = payloads
        self._now = now

    async def create(
        self, user_id: str, url: str, description: str, event_types: tuple[str, ...]
    ) -> tuple[KeptWebhook, str]:
        """Makes a webhook, and gives its secret. Raises TooManyWebhooksError."""
        secret, now = new_secret(), self._now()
        webhook = Webhook(
            webhook_id=new_webhook_id(),
            url=url,
            description=description,
            event_types=event_types,
            state=WebhookState.ACTIVE,
            disable_reason=DisableReason.NONE,
            create_time=now,
            update_time=now,
        )
        async with self._workspaces.change(user_id) as workspace:
            if len(await workspace.webhooks.list()) >= MOST_WEBHOOKS:
                raise TooManyWebhooksError(MOST_WEBHOOKS)
            await workspace.webhooks.add(webhook, SealedKeys(self._box.seal(secret, purpose(webhook.webhook_id))))
            workspace.tell(changed_webhook(Action.CREATED, webhook))
            return await workspace.webhooks.get(webhook.webhook_id), secret

    async def list(self, user_id: str) -> Sequence[KeptWebhook]:
        """All of a user, the oldest first."""
        async with self._workspaces.read(user_id) as workspace:
            return await workspace.webhooks.list()

    async def get(self, user_id: str, webhook_id: str) -> KeptWebhook:
        """One of a user's. Raises NotFoundError."""
        async with self._workspaces.read(user_id) as workspace:
            return await workspace.webhooks.get(webhook_id)

    async def update(self, user_id: str, webhook_id: str, changes: WebhookChanges, *, skip_missed: bool) -> KeptWebhook:
        """Changes a webhook. Raises NotFoundError."""
        async with self._workspaces.change(user_id) as workspace:
            before = (await workspace.webhooks.get(webhook_id)).webhook
            changed = replace(before, **changes, disable_reason=_reason(before, changes.get("state", before.state)))
            if changed != before:
                changed = replace(changed, update_time=self._now())
                await workspace.webhooks.put(changed)
                workspace.tell(changed_webhook(Action.UPDATED, changed))
            if skip_missed:
                await workspace.webhooks.skip(webhook_id, passes_this=changed != before)
            return await workspace.webhooks.get(webhook_id)

    async def rotate_secret(self, user_id: str, webhook_id: str, overlap_seconds: int) -> tuple[KeptWebhook, str]:
        """Gives a webhook a new secret. Raises NotFoundError."""
        secret, now = new_secret(), self._now()
        async with self._workspaces.change(user_id) as workspace:
            before = (await workspace.webhooks.get(webhook_id)).webhook
            keys = await workspace.webhooks.keys(webhook_id)
            expire = now + timedelta(seconds=overlap_seconds) if overlap_seconds else None
            changed = replace(before, update_time=now, previous_secret_expire_time=expire)
            await workspace.webhooks.put(changed)
            sealed = self._box.seal(secret, purpose(webhook_id))
            await workspace.webhooks.put_keys(webhook_id, SealedKeys(sealed, keys.secret if overlap_seconds else ""))
            workspace.tell(changed_webhook(Action.UPDATED, changed))
            return await workspace.webhooks.get(webhook_id), secret

    async def delete(self, user_id: str, webhook_id: str) -> None:
        """Deletes a webhook. Raises NotFoundError."""
        async with self._workspaces.change(user_id) as workspace:
            if not await workspace.webhooks.remove(webhook_id):
                raise NotFoundError("webhook")
            workspace.tell(Change(Action.DELETED, ResourceType.WEBHOOK, webhook_id, None))

    async def deliveries(self, user_id: str, webhook_id: str, limit: int) -> Sequence[Delivery]:
        """The last attempts, the newest first. Raises NotFoundError."""
        async with self._workspaces.read(user_id) as workspace:
            await workspace.webhooks.get(webhook_id)
            return await workspace.webhooks.deliveries(webhook_id, limit)

    async def test(self, user_id: str, webhook_id: str) -> Delivery:
        """Sends a test, once. Raises NotFoundError."""
        body = self._payloads.test(webhook_id, self._now())
        return await self._send(user_id, webhook_id, Message(f"msg_test_{uuid4().hex}", TEST_TYPE, 0, body))

    async def redeliver(self, user_id: str, webhook_id: str, sequence: int) -> Delivery:
        """Sends an event again, once. Raises NotFoundError, also for the event,."""
        page = await self._log.page(user_id, sequence - 1, 1, ())
        if not page.events or page.events[0].sequence != sequence:
            raise NotFoundError("event")
        event = page.events[0]
        name = message_id(webhook_id, sequence)
        message = Message(name, self._payloads.event_type(event), sequence, self._payloads.of(event))
        return await self._send(user_id, webhook_id, message)

    async def _send(self, user_id: str, webhook_id: str, message: Message) -> Delivery:
        async with self._workspaces.read(user_id) as workspace:
            webhook = (await workspace.webhooks.get(webhook_id)).webhook
            keys = await workspace.webhooks.keys(webhook_id)
        try:
            delivery, _ = await self._signing.send(webhook, keys, message)
        except SecretLostError:
            delivery = Delivery(
                message_id=message.message_id,
                event_type=message.event_type,
                sequence=message.sequence,
                attempt=1,
                time=self._now(),
                duration_ms=0,
                outcome=DeliveryOutcome.REFUSED,
                trouble=DisableReason.SECRET_LOST.value,
            )
        await self._queue.note(webhook_id, delivery)
        return delivery


def _reason(before: Webhook, state: WebhookState) -> DisableReason:
    if state is WebhookState.ACTIVE:
        return DisableReason.NONE
    return before.disable_reason if before.state is WebhookState.DISABLED else DisableReason.USER
