"""`parley leads`: models that score leads, learned from a file of CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from parley_client.scoring import ColumnKindName
from rich.table import Table
from rich.text import Text

from parley_cli.commands.sessions import local_time
from parley_cli.output import as_dict, print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley.inference.v1 import scoring_service_pb2 as pb
    from parley_client import Parley

_BYTES_MOST = 3_000_000
_AT_ONCE = 1_000
_REASONS = 3
_METHODS = {1: "logistic regression", 2: "baseline for few rows"}
_KINDS = {1: "numeric", 2: "categorical", 3: "text"}


def read_csv(path: Path) -> str:
    """The text of a file of CSV. CommandError says why it is none that Parley takes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", exit_code=2) from error
    if len(data) > _BYTES_MOST:
        raise CommandError(f"{path} has {len(data):,} bytes; {_BYTES_MOST:,} are the most.", exit_code=2)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is no UTF-8 text: save it as CSV in UTF-8.", exit_code=2) from error


def read_leads(path: Path) -> list[dict[str, str]]:
    """The rows of a file of CSV with a line of names. CommandError names the line that does not fit."""
    reader = csv.reader(io.StringIO(read_csv(path), newline=""), strict=True)
    try:
        names = next(reader, [])
        found = []
        for record in reader:
            if record and len(record) != len(names):
                raise CommandError(
                    f"{path}: the row that ends in line {reader.line_num} has {len(record)} fields, not {len(names)}.",
                    exit_code=2,
                )
            if record:
                found.append(dict(zip(names, record, strict=True)))
    except csv.Error as error:
        raise CommandError(f"{path}: line {reader.line_num}: {error}.", exit_code=2) from error
    if not found:
        raise CommandError(f"{path} has no rows below its line of names.", exit_code=2)
    return found


def read_kinds(given: Sequence[str]) -> dict[str, ColumnKindName]:
    """What `--kind COLUMN=KIND` says."""
    kinds = get_args(ColumnKindName)
    found: dict[str, ColumnKindName] = {}
    for one in given:
        name, _, kind = one.rpartition("=")
        if not name or kind not in kinds:
            raise CommandError(f"--kind must be COLUMN=KIND, the kind one of {', '.join(kinds)}.", exit_code=2)
        found[name] = cast("ColumnKindName", kind)
    return found


async def train(
    client: Parley,
    name: str,
    text: str,
    *,
    label: str,
    positive: str,
    kinds: Mapping[str, ColumnKindName],
    as_json: bool,
) -> int:
    """Trains the next version of a model and shows its card."""
    model = await client.scoring.train(
        name, csv=text, label_column=label, positive_label=positive, column_kinds=dict(kinds)
    )
    _show_card(model, as_json=as_json)
    return 0


async def show_all(client: Parley, *, as_json: bool) -> int:
    """Prints the models, by name."""
    models = await client.scoring.list()
    if as_json:
        print_json_list(models)
        return 0
    if not models:
        print("There are no models yet. `parley leads train` makes one.", file=sys.stderr)
        return 0
    table = _table("model", "version", "trained", "rows", "AUC", "method")
    for model in models:
        table.add_row(
            printable(model.name),
            str(model.version),
            local_time(model.create_time),
            f"{model.row_count:,}",
            f"{model.quality.auc:.2f}",
            _METHODS.get(model.method, ""),
        )
    new_console().print(table)
    return 0


async def show(client: Parley, name: str, *, version: int, as_json: bool) -> int:
    """Prints a model's card."""
    _show_card(await client.scoring.get(name, version=version), as_json=as_json)
    return 0


async def score(
    client: Parley, name: str, leads: Sequence[Mapping[str, str]], *, version: int, limit: int, as_json: bool
) -> int:
    """Scores leads: the best first with what spoke for and against them, or as JSON all in the order of the file."""
    scores: list[pb.LeadScore] = []
    for begin in range(0, len(leads), _AT_ONCE):
        scores += await client.scoring.score(name, leads[begin : begin + _AT_ONCE], version=version)
    if as_json:
        print(json.dumps([as_dict(one) for one in scores], indent=2, ensure_ascii=False))
        return 0
    table = _table("row", "score", "because")
    best = sorted(enumerate(scores, start=1), key=lambda one: -one[1].score)
    for number, one in best[:limit]:
        reasons = "; ".join(printable(reason.words) for reason in one.contributions[:_REASONS])
        table.add_row(str(number), f"{one.score:.2f}", reasons)
    new_console().print(table)
    if len(scores) > limit:
        print(f"{len(scores) - limit:,} more; --limit shows them.", file=sys.stderr)
    return 0


async def delete(client: Parley, name: str) -> int:
    """Deletes a model with all its versions."""
    await client.scoring.delete(name)
    print("Deleted.")
    return 0


def _show_card(model: pb.ScoringModel, *, as_json: bool) -> None:
    if as_json:
        print_json(model)
        return
    quality = model.quality
    console = new_console()
    console.print(Text(f"{printable(model.name)}, version {model.version}", style="bold"))
    console.print(
        Text(
            f"{model.row_count:,} rows, {model.positive_count:,} with {printable(model.label_column)} = "
            f"{printable(model.positive_label)}; {_METHODS.get(model.method, '')}"
        )
    )
    console.print(
        Text(
            f"AUC {quality.auc:.2f} ± {quality.auc_deviation:.2f}, Brier score {quality.brier_score:.3f} "
            f"(without a model {quality.baseline_brier_score:.3f}), on rows that it was not trained on"
        )
    )
    columns = _table("column", "kind", "missing")
    for column in model.columns:
        columns.add_row(printable(column.name), _KINDS.get(column.kind, ""), f"{column.missing_share:.0%}")
    console.print(columns)
    curve = _table("score", "came true", "rows")
    for one in quality.calibration:
        curve.add_row(f"{one.mean_score:.2f}", f"{one.positive_share:.2f}", f"{one.row_count:,}")
    console.print(curve)
    for warning in model.warnings:
        console.print(Text(f"! {printable(warning)}", style="yellow"))


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    return table
