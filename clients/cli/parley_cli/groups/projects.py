"""`parley project`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

projects = typer.Typer(help="What belongs together.", no_args_is_help=True, rich_markup_mode=None)

ProjectId = Annotated[str, typer.Argument(metavar="ID", help="The project's id, as `project list` shows it.")]


@projects.command("create")
def project_create(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What to call it.")],
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.", show_default=False)] = "",
    instructions: Annotated[
        str, typer.Option(metavar="TEXT", help="What models are told in all its sessions.", show_default=False)
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Make a project. Its id is printed."""
    from parley_cli.commands import projects as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.create(
            client, title, description=description, instructions=instructions, as_json=as_json
        ),
    )


@projects.command("list")
def project_list(
    include_archived: Annotated[bool, typer.Option("--all", help="The archived ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to list at most.")] = 50,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List projects, the last changed first."""
    from parley_cli.commands import projects as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.show_all(client, include_archived=include_archived, limit=limit, as_json=as_json),
    )


@projects.command("show")
def project_show(project_id: ProjectId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Show a project: what it is about, what models are told, and how much belongs to it."""
    from parley_cli.commands import projects as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, project_id, as_json=as_json))


@projects.command("update")
def project_update(
    project_id: ProjectId,
    title: Annotated[str | None, typer.Option(metavar="TITLE", help="What to call it.", show_default=False)] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help='What it is about; "" for nothing.', show_default=False)
    ] = None,
    instructions: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help='What models are told in all its sessions; "" for nothing.', show_default=False
        ),
    ] = None,
    archived: Annotated[
        bool | None, typer.Option("--archive/--restore", help="Put it away, or take it out again.", show_default=False)
    ] = None,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Change a project: what is given, and nothing else."""
    from parley_cli.commands import projects as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.update(
            client,
            project_id,
            title=title,
            description=description,
            instructions=instructions,
            archived=archived,
            as_json=as_json,
        ),
    )


@projects.command("delete")
def project_delete(project_id: ProjectId, address: Address = None, token: Token = None) -> None:
    """Delete a project for good. Its sessions, tasks and documents stay, and belong to none."""
    from parley_cli.commands import projects as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, project_id))
