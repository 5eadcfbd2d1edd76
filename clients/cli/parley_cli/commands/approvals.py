"""`parley tools`, `parley approvals`, `parley approve` and `parley deny`: what models may use, and what waits for one's word."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from parley_client.events import effect_name
from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json, print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley

_MOST_ARGUMENTS = 200


async def tools(client: Parley, *, as_json: bool) -> int:
    """Lists the tools."""
    found = await client.tools.list()
    if as_json:
        print_json_list(found)
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("TOOL", "DOES", "ASKS", "SCOPE"):
        table.add_column(heading, no_wrap=True)
    for tool in found:
        asks = "yes" if tool.needs_approval else ""
        table.add_row(*map(Text, (printable(tool.name), effect_name(tool.effect), asks, printable(tool.scope))))
    new_console().print(table)
    return 0


async def approvals(client: Parley, *, as_json: bool) -> int:
    """Lists what waits, with what to type to decide. 1 when nothing does."""
    waiting = [each async for each in client.tools.pending()]
    if as_json:
        print_json_list(waiting)
        return 0 if waiting else 1
    for each in waiting:
        until = each.expire_time.ToDatetime(UTC).astimezone()
        print(
            f"{printable(each.tool)}  until {until:%Y-%m-%d %H:%M}  {printable(each.arguments_json)[:_MOST_ARGUMENTS]}"
        )
        print(f"  parley approve {each.turn_id} {each.tool_call_id}")
    return 0 if waiting else 1


async def approve(client: Parley, turn_id: str, tool_call_id: str, *, arguments_json: str, as_json: bool) -> int:
    """Lets a call run."""
    approval = await client.tools.approve(turn_id, tool_call_id, arguments_json=arguments_json)
    if as_json:
        print_json(approval)
    else:
        print(f"Approved: {printable(approval.tool)}")
    return 0


async def deny(client: Parley, turn_id: str, tool_call_id: str, *, reason: str, as_json: bool) -> int:
    """Refuses a call."""
    approval = await client.tools.deny(turn_id, tool_call_id, reason=reason)
    if as_json:
        print_json(approval)
    else:
        print(f"Denied: {printable(approval.tool)}")
    return 0
