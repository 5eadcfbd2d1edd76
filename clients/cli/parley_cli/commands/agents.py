"""`parley agent`: the operator's named agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from parley_cli.generated import show_text
from parley_cli.output import print_json, print_json_list
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley_client import Parley


async def show(client: Parley, *, as_json: bool) -> int:
    """Prints the agents, by name."""
    found = await client.agents.list()
    if as_json:
        print_json_list(found)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("agent", "title", "what it is good for", "reads documents"):
        table.add_column(column, overflow="fold")
    for agent in found:
        table.add_row(
            printable(agent.agent_id),
            printable(agent.title),
            printable(agent.description),
            "yes" if agent.searches else "",
        )
    new_console().print(table)
    return 0


async def run(client: Parley, agent_id: str, words: str, *, model: str, project: str, as_json: bool) -> int:
    """Lets an agent work and shows what it says."""
    zone = local_time_zone()
    if as_json:
        print_json(await client.agents.process(agent_id, words, model=model, project=project, time_zone=zone))
    else:
        await show_text(client.agents.stream(agent_id, words, model=model, project=project, time_zone=zone))
    return 0
