"""Webhooks on SQLite and on PostgreSQL, against real receivers: at least once, in order, signed, and nobody waits for somebody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from parley_chat.adapters.guarded_http import GuardedHttp, OutboundLimits
from parley_chat.adapters.httpx_webhook_sender import HttpxWebhookSender
from parley_chat.adapters.sealed_secrets import SealedSecrets
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_webhook_queue import SqlWebhookQueue
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.domain.accounts import Account, User
from parley_chat.domain.events import Action, changed_task
from parley_chat.domain.outbound import OutboundRules
from parley_chat.domain.tasks import Task, TaskPriority, TaskState, new_task_id
from parley_chat.domain.webhooks import Delivery, DeliveryOutcome, DisableReason, WebhookState
from parley_chat.operations.webhook_delivering import DeliveryLimits, WebhookDelivering
from parley_chat.operations.webhooks import Webhooks, WebhookSigning
from parley_chat.ports.webhook_store import KeptWebhook
from parley_chat.servicers.webhook_payloads import EventPayloads
from parley_shared.sql import Database
from parley_testing.remote_server import Answer, Answering, Asked, RemoteServer
from standardwebhooks.webhooks import Webhook as Receiver

NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
ADA, BOB = "usr_" + 32 * "a", "usr_" + 32 * "b"
SHORT = DeliveryLimits(backoff_seconds=(0.01, 0.01))
LONG_LEASE = 600.0


def now() -> datetime:
    return datetime.now(UTC)


class Replica:
    """One of several that share a database."""

    def __init__(
        self,
        database: Database,
        outbound: GuardedHttp,
        limits: DeliveryLimits = SHORT,
        lease_seconds: float = LONG_LEASE,
        pem: bytes = b"pem",
    ) -> None:
        self.log = SqlEventLog(database)
        self.queue = SqlWebhookQueue(database, lease_seconds)
        box, payloads = SealedSecrets.of("", pem), EventPayloads()
        self._sender = HttpxWebhookSender(
            outbound, OutboundLimits(connect_seconds=30, read_seconds=30, total_seconds=60)
        )
        signing = WebhookSigning(box, self._sender, now)
        self.delivering = WebhookDelivering(self.log, self.queue, signing, payloads, now, limits)
        self.workspaces = SqlWorkspaces(database, self.delivering)
        self.webhooks = Webhooks(self.workspaces, self.log, self.queue, box, signing, payloads, now)

    async def close(self) -> None:
        await self.delivering.close()
        await self._sender.close()

    async def add(self, *titles: str, user_id: str = ADA) -> None:
        """Makes tasks, each of which is an event."""
        for title in titles:
            async with self.workspaces.change(user_id) as workspace:
                task = a_task(title)
                await workspace.tasks.add(task)
                workspace.tell(changed_task(Action.CREATED, task, ""))

    async def wait_for(
        self, webhook_id: str, condition: Callable[[KeptWebhook], bool], user_id: str = ADA
    ) -> KeptWebhook:
        """The webhook when it is so."""
        async with asyncio.timeout(60):
            # What is waited for is in the database.
            while not condition(kept := await self.webhooks.get(user_id, webhook_id)):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.02)
        return kept


def a_task(title: str) -> Task:
    """A task that says nothing but its title."""
    return Task(
        task_id=new_task_id(),
        title=title,
        notes="",
        due_time=None,
        time_zone="UTC",
        priority=TaskPriority.NORMAL,
        state=TaskState.OPEN,
        project="",
        create_time=NOW,
        update_time=NOW,
        complete_time=None,
    )


Opening = Callable[..., Any]


@pytest.fixture
async def people(chat_database: Database) -> None:
    for user_id, name in ((ADA, "ada"), (BOB, "bob")):
        user = User(user_id, f"{name}@example.org", name, NOW)
        await SqlAccounts(chat_database).add(Account(user, "$argon2id$hash"))


@pytest.fixture
def opening(chat_database_url: str, chat_database: Database, people: None) -> Opening:
    """Opens a replica: on connections of its own where there may be several."""

    @asynccontextmanager
    async def open_replica(*, starts: bool = True, **options: Any) -> AsyncIterator[Replica]:
        is_shared = chat_database.dialect == "postgresql"
        database = Database.open(chat_database_url) if is_shared else chat_database
        outbound = GuardedHttp(OutboundRules(private_addresses=True))
        replica = Replica(database, outbound, **options)
        if starts:
            replica.delivering.start(replica.workspaces)
        try:
            yield replica
        finally:
            await replica.close()
            await outbound.close()
            if is_shared:
                await database.close()

    return open_replica


def ok(asked: Asked) -> Answer:
    return Answer(200)


def titles(remote: RemoteServer) -> list[str]:
    """What was told of tasks, in the order in which it came."""
    bodies = [json.loads(asked.body) for asked in remote.asked]
    return [body["data"]["task"]["title"] for body in bodies if body["type"].startswith("task.")]


def failing_first(times: int, status: int = 500, **headers: str) -> Answering:
    """A receiver that fails so often, and then takes everything."""
    asked_so_far = 0

    def answer(asked: Asked) -> Answer:
        nonlocal asked_so_far
        asked_so_far += 1
        return Answer(status, headers=headers) if asked_so_far <= times else Answer(204)

    return answer


async def test_what_happens_from_now_on_is_delivered_in_order_and_signed(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening() as one:
        await one.add("before")
        kept, secret = await one.webhooks.create(ADA, remote.url("/hook"), "", ())
        await one.add("first", "second", "third")
        kept = await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.delivered_sequence == 5)
        assert titles(remote) == ["first", "second", "third"]
        asked = remote.asked[0]
        body = Receiver(secret).verify(asked.body, dict(asked.headers))
        assert (asked.method, asked.target, asked.headers["content-type"]) == ("POST", "/hook", "application/json")
        assert (body["type"], body["data"]["action"], body["data"]["sequence"]) == (
            "task.created",
            "ACTION_CREATED",
            "3",
        )
        assert body["timestamp"].endswith("Z")
        assert len({each.headers["webhook-id"] for each in remote.asked}) == 3
        assert kept.standing.last_delivery is not None
        assert kept.standing.last_delivery.sequence == 5
        assert kept.standing.last_delivery.status_code == 200


async def test_only_the_types_that_are_wanted_are_delivered_and_the_others_are_passed_over(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening() as one:
        wanted, _ = await one.webhooks.create(ADA, remote.url("/wanted"), "", ("task.created",))
        other, _ = await one.webhooks.create(ADA, remote.url("/other"), "", ("session.*", "task.reminded"))
        await one.add("only")
        for kept in (wanted, other):
            await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.delivered_sequence == 3)
        assert [asked.target for asked in remote.asked] == ["/wanted"]


async def test_a_failure_is_tried_again_under_the_same_name_and_the_next_event_waits(opening: Opening) -> None:
    async with RemoteServer(failing_first(2)) as remote, opening() as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        await one.add("first", "second")
        webhook_id = kept.webhook.webhook_id
        await one.wait_for(webhook_id, lambda kept: kept.standing.delivered_sequence == 3)
        assert titles(remote) == ["first", "first", "first", "second"]
        names = [asked.headers["webhook-id"] for asked in remote.asked]
        assert names[0] == names[1] == names[2] != names[3]
        attempts = [(each.attempt, each.status_code) for each in await one.webhooks.deliveries(ADA, webhook_id, 100)]
        assert attempts == [(1, 204), (3, 204), (2, 500), (1, 500)]


async def test_a_failure_shows_and_waits_as_long_as_the_server_wishes(opening: Opening) -> None:
    answering = failing_first(1, 503, **{"Retry-After": "3000"})
    async with RemoteServer(answering) as remote, opening() as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        await one.add("first")
        kept = await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.failed_attempts == 1)
        assert kept.standing.next_attempt_time is not None
        assert kept.standing.next_attempt_time > datetime.now(UTC) + timedelta(minutes=30)
        assert kept.standing.last_delivery is not None
        assert kept.standing.last_delivery.outcome is DeliveryOutcome.REJECTED
        # Its user need not wait: a change begins anew.
        await one.webhooks.update(ADA, kept.webhook.webhook_id, {"description": "mended"}, skip_missed=False)
        await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.delivered_sequence >= 2)
        assert titles(remote) == ["first", "first"]


async def test_after_the_last_attempt_it_is_disabled_and_an_event_tells_and_enabling_goes_on(opening: Opening) -> None:
    async with RemoteServer(failing_first(3)) as remote, opening() as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ("task.*",))
        webhook_id = kept.webhook.webhook_id
        await one.add("first")
        kept = await one.wait_for(webhook_id, lambda kept: kept.webhook.state is WebhookState.DISABLED)
        assert kept.webhook.disable_reason is DisableReason.FAILING
        assert len(remote.asked) == 3
        (event,) = (await one.log.page(ADA, 2, 100, ())).events
        assert event.change.resource == kept.webhook
        await one.add("second")
        await one.webhooks.update(ADA, webhook_id, {"state": WebhookState.ACTIVE}, skip_missed=False)
        await remote.wait_for(lambda: len(remote.asked) == 5)
        assert titles(remote) == ["first", "first", "first", "first", "second"]


async def test_enabling_may_pass_over_what_was_missed(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening() as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        webhook_id = kept.webhook.webhook_id
        await one.webhooks.update(ADA, webhook_id, {"state": WebhookState.DISABLED}, skip_missed=False)
        await one.add("missed")
        await one.webhooks.update(ADA, webhook_id, {"state": WebhookState.ACTIVE}, skip_missed=True)
        await one.add("after")
        await remote.wait_for(lambda: len(remote.asked) == 1)
        assert titles(remote) == ["after"]


async def test_a_server_that_says_gone_is_left_at_once(opening: Opening) -> None:
    async with RemoteServer(failing_first(1, 410)) as remote, opening() as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        await one.add("first", "second")
        kept = await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.webhook.state is WebhookState.DISABLED)
        assert kept.webhook.disable_reason is DisableReason.GONE
        assert len(remote.asked) == 1


async def test_nobody_waits_for_somebody_elses_server(opening: Opening) -> None:
    held = asyncio.Event()

    async def hold(asked: Asked) -> Answer:
        await held.wait()
        return Answer(200)

    limits = DeliveryLimits(at_once=3, at_once_per_user=2)
    async with RemoteServer(hold) as slow, RemoteServer(ok) as fast, opening(limits=limits) as one:
        for number in range(5):
            await one.webhooks.create(ADA, slow.url(f"/{number}"), "", ("task.*",))
        await one.webhooks.create(BOB, fast.url(), "", ())
        await one.add("slow")
        await slow.wait_for(lambda: len(slow.asked) == 2)
        await one.add("fast", user_id=BOB)
        await fast.wait_for(lambda: len(fast.asked) == 1)
        assert len(slow.asked) == 2, "one user has not all the places"
        held.set()
        await slow.wait_for(lambda: len({asked.target for asked in slow.asked}) == 5)


async def test_a_redirect_is_no_delivery_and_is_not_followed(opening: Opening) -> None:
    async with RemoteServer(ok) as elsewhere:
        answer = Answer(302, headers={"Location": elsewhere.url()})
        async with RemoteServer(lambda asked: answer) as remote, opening() as one:
            kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
            delivery = await one.webhooks.test(ADA, kept.webhook.webhook_id)
            assert (delivery.outcome, delivery.status_code) == (DeliveryOutcome.REJECTED, 302)
            assert elsewhere.connections == 0


@pytest.mark.parametrize("body", [b"", b"x" * 1_000_000])
async def test_whatever_a_server_answers_beside_its_status_does_not_matter(opening: Opening, body: bytes) -> None:
    async with RemoteServer(lambda asked: Answer(200, body)) as remote, opening() as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        delivery = await one.webhooks.test(ADA, kept.webhook.webhook_id)
        assert delivery.outcome is DeliveryOutcome.DELIVERED


async def test_two_replicas_deliver_each_event_once(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening() as one, opening() as two:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        await asyncio.gather(
            one.add(*(f"one {number}" for number in range(15))), two.add(*(f"two {number}" for number in range(15)))
        )
        await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.delivered_sequence == 31)
        sequences = [int(json.loads(asked.body)["data"]["sequence"]) for asked in remote.asked]
        assert sequences == list(range(2, 32))


async def test_the_webhook_of_a_replica_that_has_died_is_delivered_when_its_lease_has_ended(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening(starts=False, lease_seconds=0.5) as dead:
        kept, _ = await dead.webhooks.create(ADA, remote.url(), "", ())
        await dead.add("first")
        assert await dead.queue.due(10) == [(ADA, kept.webhook.webhook_id)]
        claim = await dead.queue.claim(ADA, kept.webhook.webhook_id)
        assert claim is not None
        assert await dead.queue.due(10) == []
        async with opening() as heir:
            await remote.wait_for(lambda: len(remote.asked) == 1)
            await heir.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.delivered_sequence == 2)
        assert not await dead.queue.advance(claim, 1), "what the dead one had is not its any more"


async def test_a_change_takes_the_webhook_from_who_delivers_it(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening(starts=False) as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        await one.add("first")
        claim = await one.queue.claim(ADA, kept.webhook.webhook_id)
        assert claim is not None
        assert await one.queue.claim(ADA, kept.webhook.webhook_id) is None
        await one.webhooks.update(ADA, kept.webhook.webhook_id, {"url": remote.url("/new")}, skip_missed=False)
        assert not await one.queue.advance(claim, 2)
        again = await one.queue.claim(ADA, kept.webhook.webhook_id)
        assert again is not None
        await one.queue.release_all()
        assert await one.queue.claim(ADA, kept.webhook.webhook_id) is not None


async def test_while_a_secret_is_rotated_both_sign_and_afterwards_one(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening() as one:
        kept, old = await one.webhooks.create(ADA, remote.url(), "", ())
        webhook_id = kept.webhook.webhook_id
        _, new = await one.webhooks.rotate_secret(ADA, webhook_id, 600)
        await one.webhooks.test(ADA, webhook_id)
        both = next(asked for asked in remote.asked if b"webhook.test" in asked.body)
        for secret in (old, new):
            assert Receiver(secret).verify(both.body, dict(both.headers))["type"] == "webhook.test"
        _, newest = await one.webhooks.rotate_secret(ADA, webhook_id, 0)
        await one.webhooks.test(ADA, webhook_id)
        last = [asked for asked in remote.asked if b"webhook.test" in asked.body][-1]
        Receiver(newest).verify(last.body, dict(last.headers))
        assert len(last.headers["webhook-signature"].split(" ")) == 1


async def test_a_secret_that_cannot_be_read_any_more_disables_until_it_is_rotated(opening: Opening) -> None:
    async with RemoteServer(ok) as remote:
        async with opening(starts=False) as one:
            kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
            await one.add("first")
        webhook_id = kept.webhook.webhook_id
        async with opening(pem=b"another") as other:
            kept = await other.wait_for(webhook_id, lambda kept: kept.webhook.state is WebhookState.DISABLED)
            assert kept.webhook.disable_reason is DisableReason.SECRET_LOST
            delivery = await other.webhooks.test(ADA, webhook_id)
            assert (delivery.outcome, delivery.trouble) == (DeliveryOutcome.REFUSED, "secret_lost")
            await other.webhooks.rotate_secret(ADA, webhook_id, 600)
            await other.webhooks.update(ADA, webhook_id, {"state": WebhookState.ACTIVE}, skip_missed=False)
            await remote.wait_for(lambda: "first" in titles(remote))


async def test_the_last_hundred_attempts_are_kept(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening(starts=False) as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ())
        for number in range(1, 106):
            await one.queue.note(
                kept.webhook.webhook_id,
                Delivery("msg", "task.created", number, 1, NOW, 1, DeliveryOutcome.DELIVERED, 200),
            )
        found = await one.webhooks.deliveries(ADA, kept.webhook.webhook_id, 200)
        assert [each.sequence for each in found] == list(range(105, 5, -1))


async def test_many_events_that_are_passed_over_do_not_stop_the_one_behind_them(opening: Opening) -> None:
    async with RemoteServer(ok) as remote, opening(starts=False) as one:
        kept, _ = await one.webhooks.create(ADA, remote.url(), "", ("task.updated",))
        await one.add(*(str(number) for number in range(120)))
        task = a_task("changed")
        async with one.workspaces.change(ADA) as workspace:
            workspace.tell(changed_task(Action.UPDATED, task, ""))
        one.delivering.start(one.workspaces)
        await one.wait_for(kept.webhook.webhook_id, lambda kept: kept.standing.delivered_sequence == 122)
        assert titles(remote) == ["changed"]
