"""`parley webhook`: servers that events are delivered to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json, print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.events.v1 import webhook_pb2
    from parley_client import Parley

_ACTIVE = 1
_DELIVERED, _REJECTED = 1, 2
_REASONS = {1: "disabled", 2: "disabled: gone", 3: "disabled: failing", 4: "disabled: secret lost"}


async def create(client: Parley, url: str, *, only: Sequence[str], description: str, as_json: bool) -> int:
    """Makes a webhook, and prints its id and its secret."""
    made = await client.webhooks.create(url, description=description, event_types=only)
    if as_json:
        print_json(made)
    else:
        print(made.webhook.webhook_id)
        print(made.secret)
    return 0


async def show(client: Parley, *, as_json: bool) -> int:
    """Lists webhooks."""
    found = await client.webhooks.list()
    if as_json:
        print_json_list(found)
        return 0
    table = Table(box=None, pad_edge=False)
    for head in ("ID", "URL", "Types", "State", "Last delivery"):
        table.add_column(head, overflow="fold")
    for webhook in found:
        table.add_row(
            webhook.webhook_id,
            Text(printable(webhook.url)),
            ", ".join(webhook.event_types) or "all",
            "active" if webhook.state == _ACTIVE else _REASONS.get(webhook.disable_reason, "disabled"),
            Text(_words(webhook.last_delivery) if webhook.HasField("last_delivery") else ""),
        )
    if found:
        new_console().print(table)
    return 0


async def test(client: Parley, webhook_id: str, *, as_json: bool) -> int:
    """Sends a test, and says how that ended."""
    delivery = await client.webhooks.test(webhook_id)
    if as_json:
        print_json(delivery)
    else:
        print(_words(delivery))
    return 0 if delivery.outcome == _DELIVERED else 1


async def enable(client: Parley, webhook_id: str, *, skip_missed: bool) -> int:
    """Delivers again."""
    # Imported when it is needed: most commands need no requests of their own.
    from parley.events.v1 import webhook_pb2, webhook_service_pb2  # noqa: PLC0415 - see above

    request = webhook_service_pb2.UpdateWebhookRequest(
        webhook_id=webhook_id,
        state=webhook_pb2.WEBHOOK_STATE_ACTIVE,
        skip_missed=skip_missed,
        update_mask=FieldMask(paths=["state"]),
    )
    webhook = await client.webhooks.update(request)
    print(f"Enabled: {printable(webhook.url)}")
    return 0


async def remove(client: Parley, webhook_id: str) -> int:
    """Deletes a webhook."""
    await client.webhooks.delete(webhook_id)
    return 0


def _words(delivery: webhook_pb2.WebhookDelivery) -> str:
    if delivery.outcome == _DELIVERED:
        return f"Delivered: {delivery.event_type}, status {delivery.status_code}, {delivery.duration_ms} ms"
    if delivery.outcome == _REJECTED:
        return f"Not delivered: {delivery.event_type}, status {delivery.status_code}"
    return f"Not delivered: {delivery.event_type}. {printable(delivery.error)}"
