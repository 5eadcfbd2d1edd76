"""`parley batch`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

batches = typer.Typer(help="Many prompts at once, from a file of JSONL.", no_args_is_help=True, rich_markup_mode=None)

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch, as `batch list` shows it.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write the results. [default: standard output]"),
]


@batches.command("run")
def batch_run(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help='Lines like {"id": "a", "prompt": "…"}, or those that OpenAI\'s batches have; - reads standard input.',
        ),
    ],
    output: Output = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The model for lines that name none.", show_default=False)
    ] = "",
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="What to call it; by default as the file.", show_default=False)
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The same file under the same name is not written twice.", show_default=False
        ),
    ] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Print the batch's id and leave it to run.")] = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Send a batch, show how it goes, and write its results. Ctrl-C leaves it running. Exits with 1 when a line failed."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    wish = command.RunWish(file=file, output=output, model=model, title=title, name=name, detach=detach)
    run_with_parley(address, token, lambda client, _: command.run(client, wish))


@batches.command("list")
def batch_list(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List batches, newest first."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show_list(client, limit=limit, as_json=as_json))


@batches.command("show")
def batch_show(batch_id: BatchId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Show how far a batch is, and what it took."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, batch_id, as_json=as_json))


@batches.command("watch")
def batch_watch(batch_id: BatchId, address: Address = None, token: Token = None) -> None:
    """Show how a batch goes, until it has ended. Exits with 1 when a line failed, or it was cancelled."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.watch(client, batch_id))


@batches.command("results")
def batch_results(batch_id: BatchId, output: Output = None, address: Address = None, token: Token = None) -> None:
    """Write the results until now, in the order of the input, as JSONL."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.results(client, batch_id, output))


@batches.command("cancel")
def batch_cancel(batch_id: BatchId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Cancel a batch; what was written stays. Exits with 1 when it had ended before."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.cancel(client, batch_id, as_json=as_json))


@batches.command("continue")
def batch_continue(batch_id: BatchId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Go on with a paused batch."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.go_on(client, batch_id, as_json=as_json))


@batches.command("delete")
def batch_delete(batch_id: BatchId, address: Address = None, token: Token = None) -> None:
    """Delete a batch with its results, for good."""
    from parley_cli.commands import batches as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, batch_id))
