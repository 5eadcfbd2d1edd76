"""`parley audit`: its options and its help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("audit")(audit)


def audit(
    user: Annotated[
        str, typer.Option(metavar="ID", help="Another user's account. For admins.", show_default=False)
    ] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Every account. For admins.")] = False,
    by: Annotated[str, typer.Option(metavar="ID", help="Only what this user did.", show_default=False)] = "",
    deed: Annotated[
        list[str] | None,
        typer.Option(metavar="DEED", help="Only this, as the list shows it, like sign-in-failed. May be repeated."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days to look back.")] = 30,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Show who did what with your account, newest first: sign-ins, those that failed, tokens, roles."""
    from parley_cli.commands import audit as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        asked = command.Asked(user, everybody, by, command.read_deeds(deed or ()), days, limit)
    run_with_parley(address, token, lambda client, _: command.audit(client, asked, as_json=as_json))
