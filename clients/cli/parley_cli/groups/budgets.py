"""`parley budget`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated, Literal

import typer

from parley_cli.options import Address, Json, Token

budgets = typer.Typer(help="What models may take for you.", no_args_is_help=True, rich_markup_mode=None)


@budgets.command("set")
def budget_set(
    period: Annotated[
        Literal["day", "month", "total"],
        typer.Argument(help="How long it lasts until it begins anew; a total never does."),
    ],
    cost: Annotated[
        str, typer.Option(metavar="DOLLARS", help="What may be spent, like 2.50.", show_default=False)
    ] = "",
    tokens: Annotated[
        int | None, typer.Option(min=1, help="How many tokens may be read and written.", show_default=False)
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="What to call it: several of a period have names.", show_default=False)
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Make a budget, or set its limits anew. Days and months are those of this computer's time zone."""
    from parley_cli.commands import budgets as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        micros = command.read_dollars(cost)
    run_with_parley(
        address,
        token,
        lambda client, _: command.set_budget(client, period, cost=micros, tokens=tokens, name=name, as_json=as_json),
    )


@budgets.command("list")
def budget_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List budgets with what is spent, held and left."""
    from parley_cli.commands import budgets as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.list_budgets(client, as_json=as_json))


@budgets.command("delete")
def budget_delete(
    budget_id: Annotated[str, typer.Argument(metavar="ID", help="The budget's id, as `budget list` shows it.")],
    address: Address = None,
    token: Token = None,
) -> None:
    """Delete a budget of your own. What was used stays in the usage."""
    from parley_cli.commands import budgets as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete_budget(client, budget_id))
