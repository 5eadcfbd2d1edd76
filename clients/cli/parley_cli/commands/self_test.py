"""`parley self-test`: uses every service once, and tells what worked and how long it took."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from parley_cli.figures import seconds
from parley_cli.output import as_dict
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley


async def self_test(client: Parley, *, as_json: bool) -> int:
    """Prints what came of each check. Returns 1 when one failed."""
    response = await client.system.self_test()
    code = 0 if response.passed else 1
    if as_json:
        print(json.dumps(as_dict(response), indent=2, ensure_ascii=False))
        return code
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("check", no_wrap=True)
    table.add_column("service", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("time", no_wrap=True, justify="right")
    table.add_column("")
    for check in response.checks:
        result = Text("passed", style="green") if check.passed else Text("failed", style="red")
        table.add_row(
            printable(check.name),
            printable(check.service),
            result,
            seconds(check.duration_ms),
            printable(check.message),
        )
    console = new_console()
    console.print(table)
    console.print()
    words = "Everything works" if response.passed else "Something does not work"
    trace = f" Trace: {printable(response.trace_id)}" if response.trace_id else ""
    console.print(Text(f"{words}; it took {seconds(response.duration_ms)}.{trace}"))
    return code
