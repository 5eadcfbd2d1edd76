"""What webhooks are signed with, and which events they want."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.domain.webhooks import BACKOFF_SECONDS, message_id, new_secret, new_webhook_id, signed_headers, wants
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

BODY = '{"type":"task.created","data":{"title":"Grüße"}}'.encode()


def test_a_receiver_that_knows_the_specification_accepts_the_signature() -> None:
    secret = new_secret()
    headers = signed_headers([secret], "msg_1", datetime.now(UTC), BODY)
    assert Webhook(secret).verify(BODY, headers) == {"type": "task.created", "data": {"title": "Grüße"}}


def test_of_two_secrets_each_receiver_accepts_its_own() -> None:
    new, old = new_secret(), new_secret()
    headers = signed_headers([new, old], "msg_1", datetime.now(UTC), BODY)
    Webhook(new).verify(BODY, headers)
    Webhook(old).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_whatever_is_changed_on_the_way_is_not_accepted(changed: str) -> None:
    secret = new_secret()
    headers = signed_headers([secret], "msg_1", datetime.now(UTC), BODY)
    body = BODY
    if changed == "body":
        body = BODY.replace(b"task", b"taks")
    else:
        headers[changed] = {"webhook-id": "msg_2", "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}[
            changed
        ]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_secrets_and_names_differ() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert new_secret().startswith("whsec_")
    assert message_id(new_webhook_id(), 1) != message_id(new_webhook_id(), 1)


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ((), True),
        (("task.created",), True),
        (("task.*",), True),
        (("session.*", "task.created"), True),
        (("task.updated",), False),
        (("session.*",), False),
        (("tas.*",), False),
    ],
)
def test_a_webhook_wants_its_types_and_its_kinds(types: tuple[str, ...], wanted: bool) -> None:
    assert wants(types, "task.created") is wanted


def test_it_is_tried_for_about_a_day() -> None:
    assert timedelta(hours=20) < timedelta(seconds=sum(BACKOFF_SECONDS)) < timedelta(hours=28)
    assert list(BACKOFF_SECONDS) == sorted(BACKOFF_SECONDS)
