"""`parley token`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

tokens = typer.Typer(
    help="Personal access tokens, for grpcurl, scripts and services.", no_args_is_help=True, rich_markup_mode=None
)


@tokens.command("create")
def token_create(
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call it.")] = "parley command",
    scopes: Annotated[
        str,
        typer.Option(
            metavar="SCOPES",
            help="What it may be used for, separated by commas. All of your own by default.",
            show_default=False,
        ),
    ] = "",
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How long it lives.")] = 90,
    address: Address = None,
    token: Token = None,
) -> None:
    """Make a token. It is printed, and nothing else on standard output; it is not shown again."""
    from parley_cli.commands import token as command
    from parley_cli.running import run_with_parley

    wanted = [scope for part in scopes.split(",") for scope in part.split()]
    run_with_parley(address, token, lambda client, _: command.create(client, name=name, scopes=wanted, days=days))


@tokens.command("list")
def token_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the tokens that were made, with what they may do and when they end."""
    from parley_cli.commands import token as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.list_all(client, as_json=as_json))


@tokens.command("revoke")
def token_revoke(
    access_token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `token list` shows it.")],
    address: Address = None,
    token: Token = None,
) -> None:
    """Revoke a token. It is refused from then on."""
    from parley_cli.commands import token as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.revoke(client, access_token_id))
