"""`parley user`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

users = typer.Typer(help="The users of the installation, for admins.", no_args_is_help=True, rich_markup_mode=None)

_UserId = Annotated[str, typer.Argument(metavar="ID", help="The user's id, as `user list` shows it.")]


class Role(StrEnum):
    """What a user can be."""

    user = "user"
    admin = "admin"


@users.command("list")
def user_list(
    query: Annotated[
        str, typer.Argument(metavar="[WORDS]", help="Only those with this in their address or name.")
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List users, newest first."""
    from parley_cli.commands import users as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.list_all(client, query, as_json=as_json))


@users.command("role")
def user_role(
    user_id: _UserId,
    role: Annotated[Role, typer.Argument(help="What the user is from now on.")],
    address: Address = None,
    token: Token = None,
) -> None:
    """Make a user an admin, or an admin a user. The first admin is made at the machine: python -m parley_chat.set_role."""
    from parley_cli.commands import users as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.set_role(client, user_id, role.value))


@users.command("disable")
def user_disable(user_id: _UserId, address: Address = None, token: Token = None) -> None:
    """Disable a user: none of their tokens is good any more."""
    from parley_cli.commands import users as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.disable(client, user_id))


@users.command("enable")
def user_enable(user_id: _UserId, address: Address = None, token: Token = None) -> None:
    """Enable a user again."""
    from parley_cli.commands import users as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.enable(client, user_id))
