"""`parley sessions`: the conversations so far."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from parley.chat.v1 import session_pb2
    from parley_client import Parley


async def newest_sessions(client: Parley, limit: int) -> list[session_pb2.Session]:
    """The last used sessions, newest first."""
    found: list[session_pb2.Session] = []
    async for session in client.sessions.list(page_size=min(limit, 100)):
        found.append(session)
        if len(found) == limit:
            break
    return found


async def sessions(client: Parley, *, limit: int, as_json: bool) -> int:
    """Prints the last used sessions."""
    found = await newest_sessions(client, limit)
    if as_json:
        print_json_list(found)
    elif found:
        new_console().print(session_table(found))
    else:
        print("There are no sessions yet. `parley chat` begins one.", file=sys.stderr)
    return 0


def session_table(found: list[session_pb2.Session]) -> Table:
    """The sessions as a table: number, title, when, and the name that `--session` takes."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("title", overflow="fold", min_width=16)
    table.add_column("last used", style="dim", no_wrap=True)
    # In a narrow terminal the name is what gives way: the number serves as well.
    table.add_column("session", style="cyan", overflow="ellipsis", no_wrap=True)
    for number, session in enumerate(found, start=1):
        title = printable(session.title) or "(no title)"
        if session.running_turn_id:
            title += " (answering)"
        table.add_row(str(number), Text(title), local_time(session.update_time), session.session_id)
    return table


def local_time(time: Timestamp) -> str:
    """A time as this computer's clock shows it, to the minute."""
    return time.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M")
