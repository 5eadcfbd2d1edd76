"""`parley tools`, `parley approvals`, `parley approve` and `parley deny`: their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

TurnId = Annotated[str, typer.Argument(metavar="TURN", help="The turn, as `parley approvals` shows it.")]
CallId = Annotated[str, typer.Argument(metavar="CALL", help="The call, as `parley approvals` shows it.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("tools")(tools)
    app.command("approvals")(approvals)
    app.command("approve")(approve)
    app.command("deny")(deny)


def tools(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the tools that models may use for you, and which of them ask you first."""
    from parley_cli.commands import approvals as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.tools(client, as_json=as_json))


def approvals(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the calls of tools that wait for you. Exits with 1 when there are none."""
    from parley_cli.commands import approvals as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.approvals(client, as_json=as_json))


def approve(
    turn: TurnId,
    call: CallId,
    arguments: Annotated[
        str, typer.Option(metavar="JSON", help="Other arguments to run it with.", show_default=False)
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Let a call of a tool run."""
    from parley_cli.commands import approvals as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.approve(client, turn, call, arguments_json=arguments, as_json=as_json),
    )


def deny(
    turn: TurnId,
    call: CallId,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why: the model is told.", show_default=False)] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Refuse a call of a tool."""
    from parley_cli.commands import approvals as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.deny(client, turn, call, reason=reason, as_json=as_json))
