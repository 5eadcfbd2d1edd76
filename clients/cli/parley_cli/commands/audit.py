"""`parley audit`: what was done with accounts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from parley.identity.v1 import audit_event_pb2
from rich.table import Table
from rich.text import Text

from parley_cli.commands.sessions import local_time
from parley_cli.output import print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley

_PAGE_MOST = 100
_PREFIX = "AUDIT_DEED_"
_STYLES = {audit_event_pb2.AUDIT_OUTCOME_FAILED: "yellow", audit_event_pb2.AUDIT_OUTCOME_REFUSED: "red"}
_ACTORS = {
    audit_event_pb2.AUDIT_ACTOR_KIND_USER: "the user",
    audit_event_pb2.AUDIT_ACTOR_KIND_ADMIN: "an admin",
    audit_event_pb2.AUDIT_ACTOR_KIND_SERVICE: "Parley",
    audit_event_pb2.AUDIT_ACTOR_KIND_OPERATOR: "the operator",
    audit_event_pb2.AUDIT_ACTOR_KIND_ISSUER: "the provider",
}


@dataclass(frozen=True)
class Asked:
    """What to show."""

    user_id: str
    everybody: bool
    by: str
    deeds: tuple[audit_event_pb2.AuditDeed.ValueType, ...]
    days: int
    limit: int


def read_deeds(words: Iterable[str]) -> tuple[audit_event_pb2.AuditDeed.ValueType, ...]:
    """The deeds of these words. Raises CommandError."""
    known = {_word(deed): deed for deed in audit_event_pb2.AuditDeed.values() if deed}
    deeds = []
    for word in words:
        if word not in known:
            raise CommandError(f"There is no deed {printable(word)!r}; there are {', '.join(known)}.", exit_code=2)
        deeds.append(known[word])
    return tuple(deeds)


async def audit(client: Parley, asked: Asked, *, as_json: bool) -> int:
    """Prints audit events, newest first."""
    events: Any = client.identity.audit_events(
        asked.user_id,
        all_users=asked.everybody,
        actor_user_id=asked.by,
        deeds=asked.deeds,
        start=datetime.now(UTC) - timedelta(days=asked.days),
        page_size=min(asked.limit, _PAGE_MOST),
    )
    found: list[audit_event_pb2.AuditEvent] = []
    async with aclosing(events):
        async for event in events:
            found.append(event)
            if len(found) == asked.limit:
                break
    if as_json:
        print_json_list(found)
        return 0
    if not found:
        print("Nothing was done.", file=sys.stderr)
        return 0
    others = asked.everybody or bool(asked.user_id)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("when", no_wrap=True, style="dim")
    table.add_column("what", no_wrap=True)
    if others:
        table.add_column("user", style="cyan", no_wrap=True)
    table.add_column("by", overflow="fold")
    table.add_column("from", overflow="fold")
    table.add_column("with", overflow="fold")
    for event in found:
        what = _word(event.deed) + (f" ×{event.count}" if event.count > 1 else "")
        shown: list[str | Text] = [local_time(event.last_time), Text(what, style=_STYLES.get(event.outcome, ""))]
        if others:
            shown.append(Text(event.user_id or "nobody"))
        table.add_row(*shown, _actor(event), _place(event), Text(printable(event.target)))
    new_console().print(table)
    return 0


def _word(deed: audit_event_pb2.AuditDeed.ValueType) -> str:
    """A deed as people write it; of one that is newer than this command, its number."""
    if deed not in audit_event_pb2.AuditDeed.values():
        return f"deed-{deed}"
    return audit_event_pb2.AuditDeed.Name(deed).removeprefix(_PREFIX).lower().replace("_", "-")


def _actor(event: audit_event_pb2.AuditEvent) -> Text:
    who = _ACTORS.get(event.actor.kind, "unknown")
    if event.actor.kind == audit_event_pb2.AUDIT_ACTOR_KIND_ADMIN:
        who = f"admin {event.actor.user_id}"
    elif event.actor.name:
        who = f"{who} ({printable(event.actor.name)})"
    if event.actor.token_id.startswith("tok_"):
        who = f"{who}, {event.actor.token_id}"
    return Text(who)


def _place(event: audit_event_pb2.AuditEvent) -> Text:
    return Text(printable(" ".join(part for part in (event.client_address, event.user_agent) if part)))
