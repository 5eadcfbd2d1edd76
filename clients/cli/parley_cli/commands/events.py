"""`parley events`: what changed, and what changes now."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf import json_format
from parley_client.events import approval_state_name

from parley_cli.terminal import printable

if TYPE_CHECKING:
    from parley.events.v1 import event_pb2
    from parley_client import Parley

_WORDS = {1: "created", 2: "updated", 3: "deleted", 4: "reminded"}
_REMINDED = 4
_LATE_SECONDS = 60
_KINDS = {
    1: "session",
    2: "message",
    3: "task",
    4: "project",
    5: "calendar event",
    6: "calendar account",
    7: "batch",
    8: "webhook",
    9: "budget",
    10: "approval",
    13: "flag",
}


async def events(client: Parley, *, after: int, follow: bool, as_json: bool) -> int:
    """Prints the events after a place; with `follow`, each further one until Ctrl-C."""
    if follow:
        try:
            async for event in client.events.watch(after_sequence=after):
                _print(event, as_json=as_json)
        except asyncio.CancelledError:
            return 0
        return 0
    cursor = max(0, after)
    while True:
        page = await client.events.list(after_sequence=cursor, page_size=200)
        for event in page.events:
            _print(event, as_json=as_json)
        if page.next_after_sequence <= cursor:
            return 0
        cursor = page.next_after_sequence


def _print(event: event_pb2.Event, *, as_json: bool) -> None:
    if as_json:
        fields = json_format.MessageToDict(event, preserving_proto_field_name=True)
        print(json.dumps(fields, ensure_ascii=False), flush=True)
        return
    when = event.time.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    what = f"{_KINDS.get(event.resource_type, 'thing')} {_WORDS.get(event.action, 'changed')}"
    line = f"{event.sequence:>6}  {when}  {what:<16}  {event.resource_id}  {_title(event)}{_lateness(event)}"
    sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def _title(event: event_pb2.Event) -> str:
    match event.WhichOneof("resource"):
        case "session":
            text = event.session.title
        case "message":
            text = event.message.text
        case "task":
            text = event.task.title
        case "calendar_event":
            text = event.calendar_event.title
        case "calendar_account":
            text = event.calendar_account.name
        case "project":
            text = event.project.title
        case "batch":
            text = event.batch.title
        case "webhook":
            text = event.webhook.url
        case "budget":
            text = event.budget.name
        case "tool_approval":
            text = f"{event.tool_approval.tool} {approval_state_name(event.tool_approval.state)}"
        case _:
            text = ""
    line = " ".join(printable(text).split())
    return line if len(line) <= 60 else line[:59] + "…"


def _lateness(event: event_pb2.Event) -> str:
    """For when a reminder was meant, when it came late."""
    if event.action != _REMINDED or event.time.seconds - event.remind_time.seconds < _LATE_SECONDS:
        return ""
    return f"  (meant for {event.remind_time.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M})"
