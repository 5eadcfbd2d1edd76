"""The webhooks of one user in SQL, within a transaction that somebody else opened. Whose turn it is: sql_webhook_queue.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_schema import users
from parley_chat.adapters.sql_webhook_schema import webhook_deliveries, webhooks
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.webhooks import (
    Delivery,
    DeliveryOutcome,
    DisableReason,
    SealedKeys,
    Standing,
    Webhook,
    WebhookState,
)
from parley_chat.ports.webhook_store import KeptWebhook

_UNCLAIMED = {"lease_id": "", "lease_expire_time": None, "failed_attempts": 0, "next_attempt_time": None}


class SqlWebhooks:
    """The port `WebhookStore`."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def add(self, webhook: Webhook, keys: SealedKeys) -> None:
        """Inserts a row."""
        values = {
            **_row(webhook),
            "webhook_id": webhook.webhook_id,
            "user_id": self._user_id,
            "create_time": webhook.create_time,
            "sealed_secret": keys.secret,
            "sealed_previous_secret": keys.previous_secret,
            # The event that tells of it, which is written at the transaction's end, is passed over.
            "delivered_sequence": await self._newest() + 1,
        }
        await self._connection.execute(insert(webhooks).values(values))

    async def get(self, webhook_id: str) -> KeptWebhook:
        """Reads a row."""
        row = (await self._connection.execute(select(webhooks).where(self._is(webhook_id)))).first()
        if row is None:
            raise NotFoundError("webhook")
        return _kept(row, await self._last_deliveries())

    async def list(self) -> Sequence[KeptWebhook]:
        """Reads rows along their index."""
        query = select(webhooks).where(webhooks.c.user_id == self._user_id)
        rows = (await self._connection.execute(query.order_by(webhooks.c.create_time, webhooks.c.webhook_id))).all()
        last = await self._last_deliveries() if rows else {}
        return [_kept(row, last) for row in rows]

    async def put(self, webhook: Webhook) -> None:
        """Writes a row anew; who delivers it finds that the lease is not theirs any more."""
        await self._connection.execute(
            update(webhooks).where(self._is(webhook.webhook_id)).values({**_row(webhook), **_UNCLAIMED})
        )

    async def put_keys(self, webhook_id: str, keys: SealedKeys) -> None:
        """Writes two columns."""
        values = {"sealed_secret": keys.secret, "sealed_previous_secret": keys.previous_secret}
        await self._connection.execute(update(webhooks).where(self._is(webhook_id)).values(values))

    async def skip(self, webhook_id: str, *, passes_this: bool) -> None:
        """Moves the place in the log forward."""
        newest = await self._newest() + passes_this
        await self._connection.execute(update(webhooks).where(self._is(webhook_id)).values(delivered_sequence=newest))

    async def remove(self, webhook_id: str) -> bool:
        """Deletes a row, and with it those of its deliveries."""
        return bool((await self._connection.execute(delete(webhooks).where(self._is(webhook_id)))).rowcount)

    async def keys(self, webhook_id: str) -> SealedKeys:
        """Reads two columns."""
        query = select(webhooks.c.sealed_secret, webhooks.c.sealed_previous_secret).where(self._is(webhook_id))
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFoundError("webhook")
        return SealedKeys(row.sealed_secret, row.sealed_previous_secret)

    async def deliveries(self, webhook_id: str, limit: int) -> Sequence[Delivery]:
        """Reads backwards along the primary key."""
        query = (
            select(webhook_deliveries)
            .where(webhook_deliveries.c.webhook_id == webhook_id)
            .order_by(webhook_deliveries.c.number.desc())
            .limit(limit)
        )
        return [_delivery(row) for row in await self._connection.execute(query)]

    async def _newest(self) -> int:
        query = select(users.c.event_counter).where(users.c.user_id == self._user_id)
        newest: int = (await self._connection.execute(query)).scalar_one()
        return newest

    async def _last_deliveries(self) -> dict[str, Delivery]:
        """The last attempt of each webhook that was no test."""
        of_user = select(webhooks.c.webhook_id).where(webhooks.c.user_id == self._user_id)
        last = (
            select(webhook_deliveries.c.webhook_id, func.max(webhook_deliveries.c.number).label("number"))
            .where(webhook_deliveries.c.webhook_id.in_(of_user), webhook_deliveries.c.sequence > 0)
            .group_by(webhook_deliveries.c.webhook_id)
            .subquery()
        )
        is_last = and_(
            webhook_deliveries.c.webhook_id == last.c.webhook_id, webhook_deliveries.c.number == last.c.number
        )
        rows = await self._connection.execute(select(webhook_deliveries).join(last, is_last))
        return {row.webhook_id: _delivery(row) for row in rows}

    def _is(self, webhook_id: str) -> Any:
        return and_(webhooks.c.webhook_id == webhook_id, webhooks.c.user_id == self._user_id)


def _row(webhook: Webhook) -> dict[str, Any]:
    return {
        "url": webhook.url,
        "description": webhook.description,
        "event_types": list(webhook.event_types),
        "state": webhook.state.value,
        "disable_reason": webhook.disable_reason.value,
        "update_time": webhook.update_time,
        "previous_secret_expire_time": webhook.previous_secret_expire_time,
    }


def _kept(row: Row[Any], last: dict[str, Delivery]) -> KeptWebhook:
    webhook = Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        description=row.description,
        event_types=tuple(row.event_types),
        state=WebhookState(row.state),
        disable_reason=DisableReason(row.disable_reason),
        create_time=row.create_time,
        update_time=row.update_time,
        previous_secret_expire_time=row.previous_secret_expire_time,
    )
    standing = Standing(
        row.delivered_sequence, row.failed_attempts, row.next_attempt_time, last.get(webhook.webhook_id)
    )
    return KeptWebhook(webhook, standing)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        message_id=row.message_id,
        event_type=row.event_type,
        sequence=row.sequence,
        attempt=row.attempt,
        time=row.time,
        duration_ms=row.duration_ms,
        outcome=DeliveryOutcome(row.outcome),
        status_code=row.status_code,
        trouble=row.trouble,
    )
