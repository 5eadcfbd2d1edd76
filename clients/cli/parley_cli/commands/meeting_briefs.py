"""`parley calendar brief` and `briefs`: what prepares its user for meetings."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING

from rich.table import Table

from parley_cli.output import print_json, print_json_list
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley.workspace.v1 import meeting_bot_pb2
    from parley_client import Parley

_BRIEFS = {1: "being written", 2: "in its session", 3: "failed", 4: "missed"}


async def prepare(
    client: Parley, meeting_id: str, *, before: int, every: bool, session_id: str, about: str, as_json: bool
) -> int:
    """Has a brief prepared, and prints the id of what does so."""
    bot = await client.meeting_bots.create(
        meeting_id,
        minutes_before=before,
        every_occurrence=every,
        session_id=session_id,
        instructions=about,
        time_zone=local_time_zone(),
    )
    if as_json:
        print_json(bot)
    else:
        print(bot.bot_id)
    return 0


async def show(client: Parley, *, as_json: bool) -> int:
    """Prints the bots, the newest first."""
    bots = await client.meeting_bots.list()
    if as_json:
        print_json_list(bots)
        return 0
    if not bots:
        print("No brief is prepared for any meeting.", file=sys.stderr)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("next brief", "last brief", "meeting"):
        table.add_column(column, no_wrap=True)
    for bot in bots:
        last = _BRIEFS.get(bot.last_brief.state, "") if bot.HasField("last_brief") else ""
        why = f": {bot.last_brief.error}" if bot.last_brief.error else ""
        table.add_row(_next(bot), printable(f"{last}{why}") or "-", printable(bot.meeting_id))
    new_console().print(table)
    return 0


async def stop(client: Parley, meeting_id: str) -> int:
    """Has no brief prepared any more."""
    await client.meeting_bots.delete(meeting_id)
    return 0


def _next(bot: meeting_bot_pb2.MeetingBot) -> str:
    """When the next brief comes, in the time zone of this computer."""
    if not bot.HasField("next_brief_time"):
        return "-"
    return f"{bot.next_brief_time.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M}"
