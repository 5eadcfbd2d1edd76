"""Delivers events to webhooks: follows the log of each webhook's user behind a place of its own, at least once and in order.

Of several replicas one at a time delivers a webhook; a webhook that does not answer holds up nobody else's. What was sent and not noted,
because the process died in between, is sent again under the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Event, ResourceType, changed_webhook
from parley_chat.domain.webhooks import (
    BACKOFF_SECONDS,
    Delivery,
    DeliveryOutcome,
    DisableReason,
    SealedKeys,
    Webhook,
    WebhookState,
    message_id,
    wants,
)
from parley_chat.operations.webhooks import Message, WebhookSigning
from parley_chat.ports.event_log import EventLog
from parley_chat.ports.secret_box import SecretLostError
from parley_chat.ports.webhook_sender import Sent, WebhookPayloads
from parley_chat.ports.webhook_store import Claim, KeptWebhook, WebhookQueue
from parley_chat.ports.workspace import Workspaces

logger = logging.getLogger(__name__)

PAGE = 50
CANDIDATES = 200
SWEEP_SECONDS = 5.0
"""Between two looks for what nobody told of: the events of other replicas, and the webhooks of one that has died."""
REST_SECONDS = 0.2
"""From the first news to the look at it, and so between two looks at the least, however much happens."""
GONE = 410


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """The bounds of one process."""

    at_once: int = 20
    at_once_per_user: int = 4
    turn_seconds: float = 30.0
    """How long one webhook is delivered before others that wait get its place."""
    backoff_seconds: Sequence[float] = BACKOFF_SECONDS
    longest_wish_seconds: float = 3600.0
    """How long a server may ask to be left alone at a time."""


class WebhookDelivering:
    """Delivers, in tasks of its own."""

    def __init__(
        self,
        log: EventLog,
        queue: WebhookQueue,
        signing: WebhookSigning,
        payloads: WebhookPayloads,
        now: Callable[[], datetime],
        limits: DeliveryLimits | None = None,
        *,
        on_attempt: Callable[[Event, bool], None] = lambda event, delivered: None,
    ) -> None:
        """`on_attempt` is told of each attempt, and whether the event is delivered. It must neither wait nor fail."""
        self._on_attempt = on_attempt
        self._log = log
        self._queue = queue
        self._signing = signing
        self._payloads = payloads
        self._now = now
        self._limits = limits or DeliveryLimits()
        self._news = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._users: Counter[str] = Counter()
        self._following: asyncio.Task[None] | None = None

    def start(self, workspaces: Workspaces) -> None:
        """Begins to deliver."""
        self._following = asyncio.create_task(self._follow(workspaces), name="webhooks")

    async def close(self) -> None:
        """Stops delivering. What is left is delivered by another replica, or by the next process."""
        tasks = [*self._running.values(), *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def tell(self, user_id: str) -> None:
        """There may be new events of a user."""
        del user_id
        self._news.set()

    async def _follow(self, workspaces: Workspaces) -> None:
        while True:
            # Before the look: what is told during it is looked at again.
            self._news.clear()
            try:
                pause = await self._begin(workspaces)
            except Exception:
                # Whatever it was, nothing is lost: the next round finds the same webhooks.
                logger.exception("webhooks could not be looked for")
                pause = SWEEP_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            # Not at once: what follows is then seen by the same look, and a turn that has just begun is not held up by it.
            await asyncio.sleep(REST_SECONDS)

    async def _begin(self, workspaces: Workspaces) -> float:
        """Begins to deliver what is due, as far as there is room; gives the seconds until the next look at the latest."""
        for user_id, webhook_id in await self._queue.due(CANDIDATES):
            if len(self._running) >= self._limits.at_once:
                # Whoever ends tells.
                return SWEEP_SECONDS
            if webhook_id in self._running or self._users[user_id] >= self._limits.at_once_per_user:
                continue
            claim = await self._queue.claim(user_id, webhook_id)
            if claim is not None:
                self._users[user_id] += 1
                task = asyncio.create_task(self._deliver(workspaces, claim), name=f"webhook {webhook_id}")
                self._running[webhook_id] = task
                task.add_done_callback(partial(self._end, claim))
        seconds = await self._queue.seconds_to_next()
        return SWEEP_SECONDS if seconds is None else min(seconds, SWEEP_SECONDS)

    def _end(self, claim: Claim, task: asyncio.Task[None]) -> None:
        del task
        del self._running[claim.webhook_id]
        self._users[claim.user_id] -= 1
        self._users += Counter()  # Drops those who have none.
        self._news.set()

    async def _deliver(self, workspaces: Workspaces, claim: Claim) -> None:
        try:
            await self._deliver_turn(workspaces, claim)
        except NotFoundError:
            # It was deleted meanwhile.
            return
        except Exception:
            # The lease ends by itself, which is the pause before the next try.
            logger.exception("a webhook could not be delivered")
        except asyncio.CancelledError:
            # The process ends: the next one need not wait for the lease.
            with suppress(Exception):
                await self._queue.release(claim)
            raise

    async def _deliver_turn(self, workspaces: Workspaces, claim: Claim) -> None:
        async with workspaces.read(claim.user_id) as workspace:
            kept = await workspace.webhooks.get(claim.webhook_id)
            keys = await workspace.webhooks.keys(claim.webhook_id)
        types = _resource_types(kept.webhook.event_types)
        deadline = time.monotonic() + self._limits.turn_seconds
        noted = after = kept.standing.delivered_sequence
        failed = kept.standing.failed_attempts
        while True:
            page = await self._log.page(claim.user_id, after, PAGE, types)
            for event in page.events:
                if wants(kept.webhook.event_types, self._payloads.event_type(event)):
                    if not await self._deliver_event(workspaces, claim, kept, keys, event, failed + 1):
                        return
                    noted, failed = event.sequence, 0
                after = event.sequence
                if time.monotonic() > deadline:
                    break
            else:
                if len(page.events) < PAGE:
                    after = max(after, page.newest)
                    if after > noted:
                        await self._queue.advance(claim, after)
                    break
                if after > noted:
                    # Passed over; it also shows whether the claim still holds.
                    if not await self._queue.advance(claim, after):
                        return
                    noted = after
                continue
            break
        await self._queue.release(claim)

    async def _deliver_event(
        self, workspaces: Workspaces, claim: Claim, kept: KeptWebhook, keys: SealedKeys, event: Event, attempt: int
    ) -> bool:
        """Makes one attempt; gives whether the next event may follow."""
        message = Message(
            message_id(claim.webhook_id, event.sequence),
            self._payloads.event_type(event),
            event.sequence,
            self._payloads.of(event),
        )
        try:
            delivery, sent = await self._signing.send(kept.webhook, keys, message, attempt)
        except SecretLostError:
            await self._disable(workspaces, claim, kept.webhook, DisableReason.SECRET_LOST)
            return False
        delivered = delivery.outcome is DeliveryOutcome.DELIVERED
        self._on_attempt(event, delivered)
        if delivered:
            return await self._queue.advance(claim, event.sequence, delivery)
        await self._fail(workspaces, claim, kept, delivery, sent)
        return False

    async def _fail(
        self, workspaces: Workspaces, claim: Claim, kept: KeptWebhook, delivery: Delivery, sent: Sent
    ) -> None:
        pauses = self._limits.backoff_seconds
        is_last = delivery.attempt > len(pauses)
        # After the last one it is disabled at once; the pause is for a process that dies in between.
        pause = pauses[min(delivery.attempt, len(pauses)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - no secret.
        pause = max(pause, min(sent.retry_after_seconds, self._limits.longest_wish_seconds))
        if not await self._queue.postpone(claim, delivery, pause):
            return
        if sent.status_code == GONE:
            await self._disable(workspaces, claim, kept.webhook, DisableReason.GONE)
        elif is_last:
            await self._disable(workspaces, claim, kept.webhook, DisableReason.FAILING)

    async def _disable(self, workspaces: Workspaces, claim: Claim, tried: Webhook, reason: DisableReason) -> None:
        async with workspaces.change(claim.user_id) as workspace:
            webhook = (await workspace.webhooks.get(claim.webhook_id)).webhook
            if webhook != tried:
                # Its user has changed it meanwhile: it gets another chance.
                return
            disabled = replace(webhook, state=WebhookState.DISABLED, disable_reason=reason, update_time=self._now())
            await workspace.webhooks.put(disabled)
            workspace.tell(changed_webhook(Action.UPDATED, disabled))
        logger.info("webhook %s is disabled: %s", claim.webhook_id, reason.value)


def _resource_types(event_types: Collection[str]) -> Collection[ResourceType]:
    """The kinds of things that the types are of; none, which stands for all, when there are no types."""
    kinds = {each.partition(".")[0] for each in event_types}
    return [kind for kind in ResourceType if kind.value in kinds]
