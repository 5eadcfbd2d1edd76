"""Webhooks of a running chat, against real receivers: what is delivered, who may make them, what is refused, and what a kill -9 costs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc, webhook_pb2
from parley.events.v1 import webhook_service_pb2 as pb
from parley.events.v1 import webhook_service_pb2_grpc as pb_grpc
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from parley.workspace.v1 import task_service_pb2, task_service_pb2_grpc
from parley_shared.status import StatusError, status_error_from
from parley_testing.remote_server import Answer, Asked, RemoteServer
from parley_testing.running_chat import Metadata, Person, RunningChat, running_chat
from standardwebhooks.webhooks import Webhook as Receiver

NOWHERE = "127.0.0.1:1"
LAPTOP = {"PARLEY_CHAT_OUTBOUND_PRIVATE_ADDRESSES": "true"}


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """A chat that may ask servers of this machine."""
    async with running_chat(tmp_path, inference=NOWHERE, **LAPTOP) as chat:
        yield chat


@pytest.fixture
async def ada(laptop: RunningChat) -> Person:
    return await laptop.sign_up()


def hooks(chat: RunningChat) -> pb_grpc.WebhookServiceAsyncStub:
    return pb_grpc.WebhookServiceStub(chat.channel)


def refusal(error: grpc.aio.AioRpcError) -> StatusError:
    return status_error_from(error)


def fields(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that are wrong."""
    return [field for field, _ in refusal(error).violations]


async def add_task(channel: grpc.aio.Channel, title: str, metadata: Metadata) -> None:
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    await stub.CreateTask(task_service_pb2.CreateTaskRequest(title=title), metadata=metadata)


async def test_a_task_that_is_made_is_told_to_the_receiver_who_can_verify_it(laptop: RunningChat, ada: Person) -> None:
    async with RemoteServer(lambda asked: Answer(204)) as remote:
        request = pb.CreateWebhookRequest(url=remote.url("/hook"), description="CRM", event_types=["task.*"])
        made = await hooks(laptop).CreateWebhook(request, metadata=ada.metadata)
        assert made.webhook.state == webhook_pb2.WEBHOOK_STATE_ACTIVE
        await add_task(laptop.channel, "Call the dentist", ada.metadata)
        await remote.wait_for(lambda: len(remote.asked) == 1)
        (asked,) = remote.asked
        body = Receiver(made.secret).verify(asked.body, dict(asked.headers))
        assert body["type"] == "task.created"
        assert body["data"]["task"]["title"] == "Call the dentist"
        listed = event_service_pb2_grpc.EventServiceStub(laptop.channel)
        events = (await listed.ListEvents(event_service_pb2.ListEventsRequest(), metadata=ada.metadata)).events
        assert [event.resource_type for event in events] == [
            event_pb2.RESOURCE_TYPE_WEBHOOK,
            event_pb2.RESOURCE_TYPE_TASK,
        ]
        assert int(body["data"]["sequence"]) == events[1].sequence
        assert events[0].webhook.url == remote.url("/hook")
        assert made.secret not in str(events)
        async with asyncio.timeout(60):
            while True:
                getting = pb.GetWebhookRequest(webhook_id=made.webhook.webhook_id)
                webhook = (await hooks(laptop).GetWebhook(getting, metadata=ada.metadata)).webhook
                if webhook.delivered_sequence == 2:
                    break
                await asyncio.sleep(0.02)
        assert webhook.last_delivery.status_code == 204
        assert webhook.last_delivery.message_id == asked.headers["webhook-id"]


async def test_a_test_says_how_it_ended(laptop: RunningChat, ada: Person) -> None:
    stub = hooks(laptop)
    async with RemoteServer(lambda asked: Answer(500)) as remote:
        made = await stub.CreateWebhook(pb.CreateWebhookRequest(url=remote.url()), metadata=ada.metadata)
        request = pb.TestWebhookRequest(webhook_id=made.webhook.webhook_id)
        delivery = (await stub.TestWebhook(request, metadata=ada.metadata)).delivery
        assert (delivery.outcome, delivery.status_code, delivery.error) == (
            webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_REJECTED,
            500,
            "",
        )
    delivery = (await stub.TestWebhook(request, metadata=ada.metadata)).delivery
    assert delivery.outcome == webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_UNREACHABLE
    assert delivery.error == "Nobody listens there."
    listing = pb.ListWebhookDeliveriesRequest(webhook_id=made.webhook.webhook_id, page_size=1)
    (last,) = (await stub.ListWebhookDeliveries(listing, metadata=ada.metadata)).deliveries
    assert last == delivery
    webhook = (
        await stub.GetWebhook(pb.GetWebhookRequest(webhook_id=made.webhook.webhook_id), metadata=ada.metadata)
    ).webhook
    assert not webhook.HasField("last_delivery"), "tests are not deliveries"


async def test_an_event_is_sent_again_by_request_under_its_name(laptop: RunningChat, ada: Person) -> None:
    stub = hooks(laptop)
    async with RemoteServer(lambda asked: Answer(200)) as remote:
        made = await stub.CreateWebhook(pb.CreateWebhookRequest(url=remote.url()), metadata=ada.metadata)
        await add_task(laptop.channel, "first", ada.metadata)
        await remote.wait_for(lambda: len(remote.asked) == 1)
        request = pb.RedeliverEventRequest(webhook_id=made.webhook.webhook_id, sequence=2)
        delivery = (await stub.RedeliverEvent(request, metadata=ada.metadata)).delivery
        assert delivery.outcome == webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_DELIVERED
        assert remote.asked[0].headers["webhook-id"] == remote.asked[1].headers["webhook-id"] == delivery.message_id
        assert remote.asked[0].body == remote.asked[1].body
        request.sequence = 9
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.RedeliverEvent(request, metadata=ada.metadata)
        assert refusal(caught.value).metadata["resource"] == "event"


async def test_a_webhook_is_changed_disabled_rotated_and_deleted(laptop: RunningChat, ada: Person) -> None:
    stub = hooks(laptop)
    made = await stub.CreateWebhook(pb.CreateWebhookRequest(url="https://example.com/a"), metadata=ada.metadata)
    webhook_id = made.webhook.webhook_id
    request = pb.UpdateWebhookRequest(
        webhook_id=webhook_id,
        description="b",
        event_types=["task.*", "task.*", "session.created"],
        state=webhook_pb2.WEBHOOK_STATE_DISABLED,
    )
    changed = (await stub.UpdateWebhook(request, metadata=ada.metadata)).webhook
    assert (changed.url, changed.description) == ("https://example.com/a", "b")
    assert list(changed.event_types) == ["task.*", "session.created"]
    assert changed.disable_reason == webhook_pb2.WEBHOOK_DISABLE_REASON_USER
    cleared = pb.UpdateWebhookRequest(webhook_id=webhook_id, update_mask=FieldMask(paths=["event_types"]))
    assert list((await stub.UpdateWebhook(cleared, metadata=ada.metadata)).webhook.event_types) == []
    rotated = await stub.RotateWebhookSecret(
        pb.RotateWebhookSecretRequest(webhook_id=webhook_id), metadata=ada.metadata
    )
    assert rotated.secret != made.secret
    assert rotated.webhook.HasField("previous_secret_expire_time")
    listed = await stub.ListWebhooks(pb.ListWebhooksRequest(), metadata=ada.metadata)
    assert [each.webhook_id for each in listed.webhooks] == [webhook_id]
    await stub.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=webhook_id), metadata=ada.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetWebhook(pb.GetWebhookRequest(webhook_id=webhook_id), metadata=ada.metadata)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_anothers_webhook_does_not_exist(laptop: RunningChat, ada: Person) -> None:
    stub, bob = hooks(laptop), await laptop.sign_up()
    made = await stub.CreateWebhook(pb.CreateWebhookRequest(url="https://example.com/"), metadata=ada.metadata)
    webhook_id = made.webhook.webhook_id
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: stub.GetWebhook(pb.GetWebhookRequest(webhook_id=webhook_id), metadata=bob.metadata),
        lambda: stub.UpdateWebhook(
            pb.UpdateWebhookRequest(webhook_id=webhook_id, description="mine"), metadata=bob.metadata
        ),
        lambda: stub.RotateWebhookSecret(pb.RotateWebhookSecretRequest(webhook_id=webhook_id), metadata=bob.metadata),
        lambda: stub.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=webhook_id), metadata=bob.metadata),
        lambda: stub.TestWebhook(pb.TestWebhookRequest(webhook_id=webhook_id), metadata=bob.metadata),
        lambda: stub.ListWebhookDeliveries(
            pb.ListWebhookDeliveriesRequest(webhook_id=webhook_id), metadata=bob.metadata
        ),
    )
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call()
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert refusal(caught.value).metadata["resource"] == "webhook"
    assert not (await stub.ListWebhooks(pb.ListWebhooksRequest(), metadata=bob.metadata)).webhooks


async def test_a_token_that_may_not_read_events_makes_none(laptop: RunningChat, ada: Person) -> None:
    made = await laptop.identity.CreateAccessToken(
        identity_service_pb2.CreateAccessTokenRequest(name="hooks", scopes=["webhooks:read", "webhooks:write"]),
        metadata=ada.metadata,
    )
    metadata = (("authorization", f"Bearer {made.token}"),)
    stub = hooks(laptop)
    await stub.ListWebhooks(pb.ListWebhooksRequest(), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CreateWebhook(pb.CreateWebhookRequest(url="https://example.com/"), metadata=metadata)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert refusal(caught.value).metadata["scope"] == "events:read"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.CreateWebhookRequest(), "url"),
        (pb.CreateWebhookRequest(url="ftp://example.com"), "url"),
        (pb.CreateWebhookRequest(url="https://user:secret@example.com"), "url"),
        (pb.CreateWebhookRequest(url="https://169.254.169.254/"), "url"),
        (pb.CreateWebhookRequest(url="https://example.com/" + "a" * 2048), "url"),
        (pb.CreateWebhookRequest(url="https://example.com", description="x" * 501), "description"),
        (pb.CreateWebhookRequest(url="https://example.com", description="a\0b"), "description"),
        (pb.CreateWebhookRequest(url="https://example.com", event_types=["task.created", "task"]), "event_types[1]"),
        (pb.CreateWebhookRequest(url="https://example.com", event_types=["task.*"] * 51), "event_types"),
    ],
)
async def test_each_bound_is_named(chat: RunningChat, request_: pb.CreateWebhookRequest, field: str) -> None:
    person = await chat.sign_up()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await hooks(chat).CreateWebhook(request_, metadata=person.metadata)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert fields(caught.value) == [field]


async def test_where_private_addresses_are_not_allowed_they_and_http_are_refused(chat: RunningChat) -> None:
    person = await chat.sign_up()
    for url in ("http://example.com/", "https://127.0.0.1/", "https://localhost:8443/", "https://[::1]/"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hooks(chat).CreateWebhook(pb.CreateWebhookRequest(url=url), metadata=person.metadata)
        assert fields(caught.value) == ["url"]


async def test_there_are_twenty_at_most(laptop: RunningChat, ada: Person) -> None:
    request = pb.CreateWebhookRequest(url="https://example.com/")
    for _ in range(20):
        await hooks(laptop).CreateWebhook(request, metadata=ada.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await hooks(laptop).CreateWebhook(request, metadata=ada.metadata)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal(caught.value).metadata["limit"] == "20"


# A process that is killed ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(home: Path) -> AsyncIterator[tuple[Process, grpc.aio.Channel]]:
    """`python -m parley_chat` on a folder, and a channel to it; it is killed at the end at the latest."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    settings = {"PARLEY_HOME": str(home), "PARLEY_CHAT_PORT": "0", "PARLEY_LOG_FORMAT": "json", **LAPTOP}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parley_chat", env={**inherited, **settings}, stderr=PIPE
    )
    try:
        assert started.stderr is not None
        said = ""
        async with asyncio.timeout(120):
            while " listens on " not in said:
                line = (await started.stderr.readline()).decode()
                assert line, said
                said = json.loads(line)["message"]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{said.rpartition(':')[2]}") as channel:
            yield started, channel
    finally:
        if started.returncode is None:
            started.kill()
        # What it has said meanwhile is read, so that it does not stand in the way of its end.
        await started.communicate()


async def test_what_was_under_way_at_a_kill_is_delivered_by_the_next_process_under_the_same_name(
    tmp_path: Path,
) -> None:
    held = asyncio.Event()

    async def hold(asked: Asked) -> Answer:
        await held.wait()
        return Answer(200)

    async with RemoteServer(hold) as remote:
        async with process(tmp_path) as (killed, channel):
            identity = identity_service_pb2_grpc.IdentityServiceStub(channel)
            request = identity_service_pb2.SignUpRequest(email="ada@example.org", password="correct horse")
            signed_up = await identity.SignUp(request)
            metadata = (("authorization", f"Bearer {signed_up.tokens.access_token}"),)
            stub = pb_grpc.WebhookServiceStub(channel)
            made = await stub.CreateWebhook(pb.CreateWebhookRequest(url=remote.url()), metadata=metadata)
            await add_task(channel, "first", metadata)
            await add_task(channel, "second", metadata)
            await remote.wait_for(lambda: len(remote.asked) == 1)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
        held.set()
        async with process(tmp_path):
            await remote.wait_for(lambda: len(remote.asked) == 3)
        names = [asked.headers["webhook-id"] for asked in remote.asked]
        assert names[0] == names[1] != names[2]
        bodies = [Receiver(made.secret).verify(asked.body, dict(asked.headers)) for asked in remote.asked]
        assert [body["data"]["task"]["title"] for body in bodies] == ["first", "first", "second"]
