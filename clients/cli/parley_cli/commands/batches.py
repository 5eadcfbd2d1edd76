"""`parley batch`: a file of prompts becomes a file of results; the batch goes on without this command."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parley.chat.v1 import batch_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from parley_cli.figures import dollars
from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley

_ENDED = (batch_pb2.BATCH_STATE_DONE, batch_pb2.BATCH_STATE_CANCELLED)
_STYLES = {
    batch_pb2.BATCH_STATE_DONE: "green",
    batch_pb2.BATCH_STATE_CANCELLED: "yellow",
    batch_pb2.BATCH_STATE_PAUSED: "red",
}


@dataclass(frozen=True)
class RunWish:
    """What `batch run` is asked for."""

    file: Path
    output: Path | None
    model: str
    title: str
    name: str
    detach: bool


async def run(client: Parley, wish: RunWish) -> int:
    """Sends a batch and waits for its end. Returns 1 when a line failed or was not written."""
    if wish.output is not None and wish.output.exists():
        raise CommandError(f"{wish.output} is there already.", exit_code=2)
    from_pipe = str(wish.file) == "-"
    lines = await asyncio.to_thread(sys.stdin.buffer.read) if from_pipe else wish.file
    title = wish.title or ("" if from_pipe else printable(wish.file.name)[:200])
    try:
        sent = await client.batches.create(lines, client_batch_id=wish.name, title=title, model=wish.model)
    except OSError as error:
        raise CommandError(f"{wish.file} cannot be read: {error.strerror}.", exit_code=2) from error
    batch_id = sent.batch.batch_id
    if wish.detach:
        print(batch_id)
        return 0
    words = "was sent before" if sent.duplicate else f"has {_count(sent.batch.total_count, 'line')}"
    print(f"{batch_id} {words}.", file=sys.stderr)
    try:
        batch = await _followed(client, sent.batch)
    except asyncio.CancelledError:
        print(
            f"\nIt goes on without this command: `parley batch watch {batch_id}` shows how, "
            f"`parley batch results {batch_id}` has the results, `parley batch cancel {batch_id}` ends it.",
            file=sys.stderr,
        )
        raise
    if batch.state == batch_pb2.BATCH_STATE_PAUSED:
        _say_paused(batch)
        return 1
    await _write_results(client, batch_id, wish.output)
    print(_words(batch), file=sys.stderr)
    return _code(batch)


async def show_list(client: Parley, *, limit: int, as_json: bool) -> int:
    """Prints batches, newest first."""
    found: list[batch_pb2.Batch] = []
    async for batch in client.batches.list(page_size=min(limit, 100)):
        found.append(batch)
        if len(found) == limit:
            break
    if as_json:
        print_json_list(found)
    elif found:
        table = Table(box=None, pad_edge=False)
        for column in ("batch", "made", "title", "how it is"):
            table.add_column(column, overflow="fold")
        for batch in found:
            made = batch.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
            table.add_row(
                batch.batch_id, made, printable(batch.title), Text(_words(batch), _STYLES.get(batch.state, ""))
            )
        new_console().print(table)
    else:
        print("There are no batches. `parley batch run FILE` sends one.", file=sys.stderr)
    return 0


async def show(client: Parley, batch_id: str, *, as_json: bool) -> int:
    """Prints one batch."""
    batch = await client.batches.get(batch_id)
    if as_json:
        print_json(batch)
        return 0
    print(_words(batch))
    if batch.pause_message:
        print(f"Paused: {printable(batch.pause_message)}")
    estimated = " (some of them counted by Parley)" if batch.estimated else ""
    print(f"Tokens: {batch.input_tokens:,} read, {batch.output_tokens:,} written{estimated}")
    unpriced = f", without {_count(batch.unpriced_count, 'attempt')} of unknown price" if batch.unpriced_count else ""
    print(f"Cost: {dollars(batch.cost_usd_micros)}{unpriced}")
    if batch.HasField("expire_time"):
        print(f"Kept until: {batch.expire_time.ToDatetime():%Y-%m-%d %H:%M} UTC")
    return 0


async def watch(client: Parley, batch_id: str) -> int:
    """Shows how a batch goes. Returns 1 when a line failed or was not written."""
    batch = await _followed(client, await client.batches.get(batch_id))
    if batch.state == batch_pb2.BATCH_STATE_PAUSED:
        _say_paused(batch)
        return 1
    print(_words(batch))
    return _code(batch)


async def results(client: Parley, batch_id: str, output: Path | None) -> int:
    """Writes the results until now."""
    await _write_results(client, batch_id, output)
    return 0


async def cancel(client: Parley, batch_id: str, *, as_json: bool) -> int:
    """Cancels a batch. Returns 1 when it had ended before."""
    response = await client.batches.cancel(batch_id)
    if as_json:
        print_json(response.batch)
    else:
        print(("Cancelled: " if response.cancelled else "It had ended before: ") + _words(response.batch))
    return 0 if response.cancelled else 1


async def go_on(client: Parley, batch_id: str, *, as_json: bool) -> int:
    """Goes on with a paused batch."""
    batch = await client.batches.go_on(batch_id)
    if as_json:
        print_json(batch)
    else:
        print(_words(batch))
    return 0


async def delete(client: Parley, batch_id: str) -> int:
    """Deletes a batch."""
    await client.batches.delete(batch_id)
    print("Deleted.")
    return 0


async def _followed(client: Parley, batch: batch_pb2.Batch) -> batch_pb2.Batch:
    """Shows a batch until it has ended or is paused; gives what it is then."""
    with _progress() as bar:
        shown = bar.add_task("", total=batch.total_count, words="") if bar is not None else None
        async with aclosing(client.batches.watch(batch.batch_id)) as states:
            async for state in states:
                batch = state
                if bar is not None and shown is not None:
                    ended = batch.completed_count + batch.failed_count + batch.cancelled_count
                    bar.update(shown, completed=ended, words=_figures(batch))
                if batch.state == batch_pb2.BATCH_STATE_PAUSED:
                    break
    return batch


def _progress() -> AbstractContextManager[Progress | None]:
    """A bar, when somebody sees it."""
    if not sys.stderr.isatty():
        return nullcontext()
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    return Progress(*columns, console=new_console(stderr=True), transient=True)


async def _write_results(client: Parley, batch_id: str, output: Path | None) -> None:
    async with aclosing(client.batches.results(batch_id)) as pieces:
        if output is None:
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        # Under another name until it is whole: a file of this name has all results.
        part = output.with_name(f"{output.name}.part")
        try:
            with part.open("wb") as file:
                async for piece in pieces:
                    file.write(piece)
            part.replace(output)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.", exit_code=2) from error


def _say_paused(batch: batch_pb2.Batch) -> None:
    print(
        f"Paused: {printable(batch.pause_message)} `parley batch continue {batch.batch_id}` goes on with it.",
        file=sys.stderr,
    )


def _code(batch: batch_pb2.Batch) -> int:
    return 0 if batch.completed_count == batch.total_count else 1


def _words(batch: batch_pb2.Batch) -> str:
    """How a batch is, in a line."""
    state = batch_pb2.BatchState.Name(batch.state).removeprefix("BATCH_STATE_").lower()
    return f"{state}: {_figures(batch)}"


def _figures(batch: batch_pb2.Batch) -> str:
    parts = [f"{batch.completed_count:,} of {_count(batch.total_count, 'line')}"]
    if batch.failed_count:
        parts.append(f"{batch.failed_count:,} failed")
    if batch.cancelled_count:
        parts.append(f"{batch.cancelled_count:,} cancelled")
    if batch.state not in _ENDED and batch.running_count:
        parts.append(f"{batch.running_count:,} being written")
    if batch.cost_usd_micros:
        parts.append(dollars(batch.cost_usd_micros))
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
