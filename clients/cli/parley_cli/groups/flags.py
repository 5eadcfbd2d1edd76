"""`parley flags`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

flags = typer.Typer(
    help="Feature flags: yours, and how administrators set them.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The flag's name, like new-editor.")]
Users = Annotated[
    list[str] | None,
    typer.Option(metavar="USER", help="A user's id. May be given several times; - for nobody.", show_default=False),
]


@flags.command("get")
def flags_get(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this flag.", show_default=False)] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Show which flags are on for you. With a name: exits with 1 when that is off."""
    from parley_cli.commands import flags as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.get(client, name, as_json=as_json))


@flags.command("watch")
def flags_watch(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Show which flags are on for you, and each change, until Ctrl-C."""
    from parley_cli.commands import flags as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.watch(client, as_json=as_json))


@flags.command("list")
def flags_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List flags as they are set. For administrators."""
    from parley_cli.commands import flags as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, as_json=as_json))


@flags.command("set")
def flags_set(
    name: Name,
    enabled: Annotated[
        bool | None,
        typer.Option("--on/--off", help="Whether it can be on at all. A new flag is off.", show_default=False),
    ] = None,
    percent: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="For which part of the users, to a hundredth.", show_default=False),
    ] = None,
    value: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What programs are told beside on.", show_default=False)
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.", show_default=False)] = None,
    user_on: Users = None,
    user_off: Users = None,
    revision: Annotated[
        int | None,
        typer.Option(min=0, help="Only when it is in this revision; 0: only when it is new.", show_default=False),
    ] = None,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Make a flag, or change what is given of it. For administrators."""
    from parley_cli.commands import flags as command
    from parley_cli.running import run_with_parley

    changes = command.FlagChanges(
        enabled=enabled,
        percentage=percent,
        value=value,
        description=description,
        users_on=_users(user_on),
        users_off=_users(user_off),
        expected_revision=revision,
    )
    run_with_parley(address, token, lambda client, _: command.put(client, name, changes, as_json=as_json))


@flags.command("delete")
def flags_delete(name: Name, address: Address = None, token: Token = None) -> None:
    """Delete a flag. One that the settings have too is as they say again. For administrators."""
    from parley_cli.commands import flags as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, name))


def _users(given: list[str] | None) -> list[str] | None:
    return None if given is None else [user for user in given if user != "-"]
