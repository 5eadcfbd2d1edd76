"""What is written to webhooks: events as the contract's JSON, with the fields named as in the contract, like the REST doors do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from parley_chat.domain.events import Event
from parley_chat.domain.webhooks import TEST_TYPE
from parley_chat.servicers.events import pack_logged

MOST_BYTES = 131_072


class EventPayloads:
    """The port `WebhookPayloads`."""

    def event_type(self, event: Event) -> str:
        """The kind of thing, and what was done to it."""
        return f"{event.change.resource_type.value}.{event.change.action.value}"

    def of(self, event: Event) -> bytes:
        """The event; without the thing when it is too long."""
        packed = pack_logged(event)
        data = json_format.MessageToDict(packed, preserving_proto_field_name=True)
        body = _body(self.event_type(event), event.time, data)
        if len(body) > MOST_BYTES and (resource := packed.WhichOneof("resource")) is not None:
            del data[resource]
            body = _body(self.event_type(event), event.time, data)
        return body

    def test(self, webhook_id: str, time: datetime) -> bytes:
        """Says that it is a test, and of which webhook."""
        return _body(TEST_TYPE, time, {"webhook_id": webhook_id})


def _body(event_type: str, time: datetime, data: dict[str, Any]) -> bytes:
    timestamp = time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    whole = {"type": event_type, "timestamp": timestamp, "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
