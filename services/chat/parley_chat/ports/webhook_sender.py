"""The way to the servers of webhooks, and what is written to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.events import Event
from parley_chat.domain.webhooks import DeliveryOutcome


@dataclass(frozen=True, slots=True)
class Sent:
    """How a sending ended."""

    outcome: DeliveryOutcome
    status_code: int = 0
    trouble: str = ""
    """The value of a Refusal or of a Trouble of outbound.py; empty when there was an answer."""
    retry_after_seconds: float = 0.0
    """What the server wished, with status 429 or 503; 0 when it wished nothing."""


class WebhookSender(Protocol):
    """Sends one message."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """Posts it once. Never raises for what the server does."""
        ...


class WebhookPayloads(Protocol):
    """What is written."""

    def event_type(self, event: Event) -> str:
        """Its type, like `task.created`."""
        ...

    def of(self, event: Event) -> bytes:
        """The body for an event."""
        ...

    def test(self, webhook_id: str, time: datetime) -> bytes:
        """The body for a test."""
        ...
