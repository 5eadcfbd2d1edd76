"""Whose webhook's turn it is, in SQL: leases by the database's clock, in the row of each webhook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, Interval, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_clock import SqlClock
from parley_chat.adapters.sql_schema import users
from parley_chat.adapters.sql_webhook_schema import webhook_deliveries, webhooks
from parley_chat.domain.webhooks import MOST_DELIVERIES, Delivery, WebhookState
from parley_chat.ports.webhook_store import Claim

_ACTIVE = WebhookState.ACTIVE.value


class SqlWebhookQueue:
    """The port `WebhookQueue`. Time is the database's, unless `now` is another."""

    def __init__(self, database: Database, lease_seconds: float, now: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._clock = SqlClock(database, now)

    async def due(self, limit: int) -> Sequence[tuple[str, str]]:
        """Compares the counters of users with the places of their webhooks."""
        query = (
            select(webhooks.c.user_id, webhooks.c.webhook_id)
            .join(users, users.c.user_id == webhooks.c.user_id)
            .where(self._is_due(), users.c.event_counter > webhooks.c.delivered_sequence)
            .order_by(webhooks.c.last_turn_time.nulls_first(), webhooks.c.webhook_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [(row.user_id, row.webhook_id) for row in await connection.execute(query)]

    async def seconds_to_next(self) -> float | None:
        """Reads the earliest of the times."""
        waits = and_(webhooks.c.state == _ACTIVE, webhooks.c.next_attempt_time.is_not(None), self._is_free())
        first = select(func.min(webhooks.c.next_attempt_time)).where(waits).scalar_subquery()
        async with self._database.read() as connection:
            row = (await connection.execute(select(first.label("first"), self._clock.now().label("now")))).one()
        return None if row.first is None else max(0.0, (row.first - row.now).total_seconds())

    async def claim(self, user_id: str, webhook_id: str) -> Claim | None:
        """Writes a lease into the row, when none holds."""
        claim = Claim(user_id, webhook_id, uuid4().hex)
        values = {
            "lease_id": claim.lease_id,
            "lease_expire_time": self._after(self._lease),
            "last_turn_time": self._clock.now(),
        }
        async with self._database.write() as connection:
            taken = await connection.execute(
                update(webhooks).where(webhooks.c.webhook_id == webhook_id, self._is_due()).values(values)
            )
        return claim if taken.rowcount else None

    async def advance(self, claim: Claim, sequence: int, delivery: Delivery | None = None) -> bool:
        """Moves the place on, in the row of the lease."""
        values = {
            "delivered_sequence": sequence,
            "failed_attempts": 0,
            "next_attempt_time": None,
            "lease_expire_time": self._after(self._lease),
        }
        return await self._write(claim, values, delivery)

    async def postpone(self, claim: Claim, delivery: Delivery, seconds: float) -> bool:
        """Writes the next time, and takes the lease away."""
        values = {
            "failed_attempts": delivery.attempt,
            "next_attempt_time": self._after(timedelta(seconds=seconds)),
            "lease_id": "",
            "lease_expire_time": None,
        }
        return await self._write(claim, values, delivery)

    async def release(self, claim: Claim) -> None:
        """Takes the lease away."""
        await self._write(claim, {"lease_id": "", "lease_expire_time": None}, None)

    async def release_all(self) -> None:
        """Takes all leases away."""
        async with self._database.write() as connection:
            await connection.execute(
                update(webhooks).where(webhooks.c.lease_id != "").values(lease_id="", lease_expire_time=None)
            )

    async def note(self, webhook_id: str, delivery: Delivery) -> None:
        """Inserts a row, unless the webhook is gone."""
        async with self._database.write() as connection:
            await _insert(connection, webhook_id, delivery)

    async def _write(self, claim: Claim, values: dict[str, Any], delivery: Delivery | None) -> bool:
        holds = and_(
            webhooks.c.webhook_id == claim.webhook_id,
            webhooks.c.lease_id == claim.lease_id,
            webhooks.c.state == _ACTIVE,
        )
        async with self._database.write() as connection:
            written = await connection.execute(update(webhooks).where(holds).values(values))
            if delivery is not None:
                # Also when the claim is lost: the attempt was made.
                await _insert(connection, claim.webhook_id, delivery)
        return bool(written.rowcount)

    def _is_due(self) -> ColumnElement[bool]:
        waits = or_(webhooks.c.next_attempt_time.is_(None), webhooks.c.next_attempt_time <= self._clock.now())
        return and_(webhooks.c.state == _ACTIVE, waits, self._is_free())

    def _is_free(self) -> ColumnElement[bool]:
        return or_(webhooks.c.lease_expire_time.is_(None), webhooks.c.lease_expire_time <= self._clock.now())

    def _after(self, time: timedelta) -> ColumnElement[datetime]:
        """The database's time, and some more."""
        if (now := self._clock.process_now()) is not None:
            return literal(now + time, UtcDateTime)
        return self._clock.now() + literal(time, Interval)


async def _insert(connection: AsyncConnection, webhook_id: str, delivery: Delivery) -> None:
    counted = (
        update(webhooks)
        .where(webhooks.c.webhook_id == webhook_id)
        .values(delivery_counter=webhooks.c.delivery_counter + 1)
        .returning(webhooks.c.delivery_counter)
    )
    number = (await connection.execute(counted)).scalar_one_or_none()
    if number is None:
        return
    values = {**asdict(delivery), "outcome": delivery.outcome.value, "webhook_id": webhook_id, "number": number}
    await connection.execute(insert(webhook_deliveries).values(values))
    await connection.execute(
        delete(webhook_deliveries).where(
            webhook_deliveries.c.webhook_id == webhook_id, webhook_deliveries.c.number <= number - MOST_DELIVERIES
        )
    )
