"""`parley usage`: what models took and cost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast, get_args

from parley_client.usage import UsageDimensionName
from rich.table import Table
from rich.text import Text

from parley_cli.figures import dollars, seconds
from parley_cli.output import print_json
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley.usage.v1 import usage_service_pb2 as pb
    from parley_client import Parley

_DIMENSIONS = get_args(UsageDimensionName)
_PURPOSES = {1: "answer", 2: "text", 3: "content", 4: "agent", 5: "suggestion", 6: "title"}
_ROUTES = {2: "standard", 3: "enhanced"}


def read_dimensions(text: str) -> list[UsageDimensionName]:
    """What `day,model` names; nothing when it is empty. CommandError for what is no dimension, or twice there."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for place, name in enumerate(names):
        if name not in _DIMENSIONS or name in names[:place]:
            known = ", ".join(_DIMENSIONS)
            raise CommandError(f"--by takes {known}, each once, not {printable(name)!r}.", exit_code=2)
    return cast("list[UsageDimensionName]", names)


async def usage(
    client: Parley,
    *,
    by: Sequence[UsageDimensionName],
    days: int,
    session_id: str,
    as_csv: bool,
    as_json: bool,
) -> int:
    """Prints the usage of the last days, today included, split as asked."""
    # Whole days: the span begins where a day of this computer's zone does.
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    start = (today - timedelta(days=days - 1)).astimezone(UTC)
    zone = local_time_zone()
    if as_csv:
        sys.stdout.buffer.write(await client.usage.csv(by=by, start=start, time_zone=zone, session_id=session_id))
        sys.stdout.buffer.flush()
        return 0
    found = await client.usage.get(by=by, start=start, time_zone=zone, session_id=session_id)
    if as_json:
        print_json(found)
    elif not found.total.request_count:
        print("No model was asked for anything in this time.", file=sys.stderr)
    else:
        _show(found, by)
    return 0


def _show(found: pb.GetUsageResponse, by: Sequence[UsageDimensionName]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in by:
        table.add_column(name, no_wrap=True)
    for figure in ("requests", "failed", "stopped", "tokens in", "tokens out", "cost", "first token", "whole"):
        table.add_column(figure, justify="right", no_wrap=True)
    for row in found.rows if by else ():
        table.add_row(*(Text(_value(row, name)) for name in by), *_figures(row))
    table.add_row(
        *(Text("all" if place == 0 else "") for place, _ in enumerate(by)), *_figures(found.total), style="bold"
    )
    new_console().print(table)
    print("first token, whole: the median, and the 95th percentile", file=sys.stderr)
    if found.total.unpriced_count:
        words = f"{found.total.unpriced_count} of the requests are not in the cost: the price of a model is not known."
        print(words, file=sys.stderr)


def _value(row: pb.UsageRow, name: UsageDimensionName) -> str:
    match name:
        case "day":
            return row.day
        case "model":
            return printable(row.model) or "-"
        case "session":
            return row.session_id or "-"
        case "project":
            return row.project_id or "-"
        case "route":
            return _ROUTES.get(row.route, "-")
        case "purpose":
            return _PURPOSES.get(row.purpose, "other")


def _figures(row: pb.UsageRow) -> list[str]:
    about = "~" if row.estimated_count else ""
    cost = f"{about if row.cost_usd_micros else ''}{dollars(row.cost_usd_micros)}{'+' if row.unpriced_count else ''}"
    return [
        f"{row.request_count:,}",
        f"{row.failed_count:,}",
        f"{row.stopped_count:,}",
        f"{about}{row.input_tokens:,}",
        f"{about}{row.output_tokens:,}",
        cost,
        f"{seconds(row.time_to_first_token_p50_ms)} {seconds(row.time_to_first_token_p95_ms)}",
        f"{seconds(row.duration_p50_ms)} {seconds(row.duration_p95_ms)}",
    ]
