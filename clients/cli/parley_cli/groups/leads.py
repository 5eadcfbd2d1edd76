"""`parley leads`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

leads = typer.Typer(
    help="Models that learn from your rows which leads are worth the effort.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


ModelName = Annotated[str, typer.Argument(metavar="NAME", help="The model: 1 to 64 of a-z 0-9 _ -.")]
Version = Annotated[int, typer.Option(min=0, help="The version of the model; 0 is the newest.")]


@leads.command("train")
def leads_train(
    name: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a line of names.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="The column that says how each lead ended.")],
    positive: Annotated[
        str,
        typer.Option(
            metavar="VALUE", help="The value of that column that counts as a good end; won, yes and such are known."
        ),
    ] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=KIND",
            help="What a column holds, where finding it out goes wrong: numeric, categorical, text or ignored.",
        ),
    ] = None,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Train a model on a file of leads that have ended, and show how good it is."""
    from parley_cli.commands import leads as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        text, kinds = command.read_csv(file), command.read_kinds(kind or [])
    run_with_parley(
        address,
        token,
        lambda client, _: command.train(
            client, name, text, label=label, positive=positive, kinds=kinds, as_json=as_json
        ),
    )


@leads.command("list")
def leads_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the models."""
    from parley_cli.commands import leads as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show_all(client, as_json=as_json))


@leads.command("show")
def leads_show(
    name: ModelName, version: Version = 0, as_json: Json = False, address: Address = None, token: Token = None
) -> None:
    """Show what a model learned from, and how good it is."""
    from parley_cli.commands import leads as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, name, version=version, as_json=as_json))


@leads.command("score")
def leads_score(
    name: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a line of names.")],
    version: Version = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many to show, the best first.")] = 20,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Score the leads of a file, and say why. JSON has all of them, in the order of the file."""
    from parley_cli.commands import leads as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        rows = command.read_leads(file)
    run_with_parley(
        address,
        token,
        lambda client, _: command.score(client, name, rows, version=version, limit=limit, as_json=as_json),
    )


@leads.command("delete")
def leads_delete(name: ModelName, address: Address = None, token: Token = None) -> None:
    """Delete a model with all its versions."""
    from parley_cli.commands import leads as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, name))
