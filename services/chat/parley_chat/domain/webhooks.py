"""Webhooks: servers that a user's events are delivered to, and what is signed how. Not the delivering."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from parley_chat.domain.errors import ChatError

MOST_WEBHOOKS = 20
"""Of one user."""
MOST_DELIVERIES = 100
"""Kept of one webhook."""
TEST_TYPE = "webhook.test"
READ_SCOPE = "events:read"
"""What a token needs beside its own scope to have events delivered: what it could read."""

BACKOFF_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)
"""The pauses after attempts that failed, together about a day. After one more the webhook is disabled."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - the beginning of a secret, not one
_SECRET_BYTES = 32


class WebhookState(StrEnum):
    """Whether events are delivered."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DisableReason(StrEnum):
    """Why not."""

    NONE = ""
    USER = "user"
    GONE = "gone"
    FAILING = "failing"
    SECRET_LOST = "secret_lost"  # noqa: S105 - the name of a reason, not a secret


class DeliveryOutcome(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A server that events are delivered to."""

    webhook_id: str
    url: str
    description: str
    event_types: tuple[str, ...]
    """Types like `task.created` or `task.*`; all when empty."""
    state: WebhookState
    disable_reason: DisableReason
    create_time: datetime
    update_time: datetime
    previous_secret_expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver."""

    message_id: str
    event_type: str
    sequence: int
    """Of the event; 0 for a test."""
    attempt: int
    time: datetime
    duration_ms: int
    outcome: DeliveryOutcome
    status_code: int = 0
    trouble: str = ""
    """The value of a Refusal or of a Trouble of outbound.py; empty when there was an answer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the deliveries of a webhook stand."""

    delivered_sequence: int
    failed_attempts: int = 0
    next_attempt_time: datetime | None = None
    last_delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class SealedKeys:
    """The secrets of a webhook as they are stored."""

    secret: str
    previous_secret: str = ""
    """Of before the last rotation; empty when there is none."""


class TooManyWebhooksError(ChatError):
    """The user has as many as a user may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many webhooks")
        self.limit = limit


def new_webhook_id() -> str:
    """A name for a webhook."""
    return f"whk_{uuid4().hex}"


def new_secret() -> str:
    """A secret to sign with."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def purpose(webhook_id: str) -> str:
    """What the secrets of a webhook are sealed for."""
    return f"webhook:{webhook_id}"


def message_id(webhook_id: str, sequence: int) -> str:
    """What names the message of an event to a webhook, whenever it is sent."""
    return f"msg_{webhook_id.removeprefix('whk_')}_{sequence}"


def wants(event_types: Sequence[str], event_type: str) -> bool:
    """Whether one of the types, or of the kinds, is this one."""
    return not event_types or event_type in event_types or f"{event_type.partition('.')[0]}.*" in event_types


def signed_headers(keys: Iterable[str], name: str, time: datetime, body: bytes) -> dict[str, str]:
    """The headers of the Standard Webhooks specification: one signature for each secret."""
    timestamp = str(int(time.timestamp()))
    content = f"{name}.{timestamp}.".encode() + body
    signatures = []
    for secret in keys:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        signatures.append("v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode())
    return {"webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}
