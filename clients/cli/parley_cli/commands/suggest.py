"""`parley suggest`: what to say next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_client.events import route_name
from rich.text import Text

from parley_cli.output import print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley


async def suggest(client: Parley, *, session_id: str, limit: int, as_json: bool) -> int:
    """Prints suggestions, the best first, each with the route that fits it and a reason."""
    found = await client.suggest_prompts(session_id=session_id, limit=limit)
    if as_json:
        print_json_list(found)
        return 0
    console = new_console()
    for each in found:
        console.print(Text(printable(each.prompt), "bold"))
        console.print(Text(f"  {route_name(each.route)}: {printable(each.reason)}", "dim"))
    return 0
