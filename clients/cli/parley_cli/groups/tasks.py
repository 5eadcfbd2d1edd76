"""`parley task`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated, Literal

import typer

from parley_cli.options import Address, Json, Token

tasks = typer.Typer(help="What is to be done.", no_args_is_help=True, rich_markup_mode=None)


Remind = Annotated[
    list[int] | None,
    typer.Option(
        metavar="MINUTES",
        help="How many minutes before it is due to remind; 0 when it is due. May be given up to five times.",
        show_default=False,
    ),
]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id, as `task list` shows it.")]


@tasks.command("add")
def task_add(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is to be done.")],
    due: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="When it is due, like 2026-01-31T09:00; in the time zone of this computer.",
            show_default=False,
        ),
    ] = "",
    notes: Annotated[str, typer.Option(metavar="TEXT", help="More about it.", show_default=False)] = "",
    priority: Annotated[
        Literal["low", "normal", "high"], typer.Option("--priority", help="How much it matters.")
    ] = "normal",
    project: Annotated[
        str, typer.Option(metavar="NAME", help="The project that it belongs to.", show_default=False)
    ] = "",
    repeat: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="How it recurs: daily, weekly, monthly, yearly, or an RFC 5545 rule like FREQ=WEEKLY;BYDAY=MO,TH.",
            show_default=False,
        ),
    ] = "",
    remind: Remind = None,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Make a task. Its id is printed."""
    from parley_cli.commands import tasks as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.create(
            client,
            title,
            due=due,
            notes=notes,
            priority=priority,
            project=project,
            repeat=repeat,
            remind=remind or (),
            as_json=as_json,
        ),
    )


@tasks.command("change")
def task_change(
    task_id: TaskId,
    title: Annotated[str | None, typer.Option(metavar="TITLE", help="What is to be done.", show_default=False)] = None,
    due: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help='When it is due, like 2026-01-31T09:00, in the time zone of this computer; "" for at no time.',
            show_default=False,
        ),
    ] = None,
    notes: Annotated[str | None, typer.Option(metavar="TEXT", help="More about it.", show_default=False)] = None,
    priority: Annotated[
        Literal["low", "normal", "high"] | None,
        typer.Option("--priority", help="How much it matters.", show_default=False),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='The project that it belongs to; "" for none.', show_default=False),
    ] = None,
    repeat: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help='How it recurs: daily, weekly, monthly, yearly, or an RFC 5545 rule like FREQ=WEEKLY;BYDAY=MO,TH; "" for no more.',
            show_default=False,
        ),
    ] = None,
    remind: Remind = None,
    no_reminders: Annotated[bool, typer.Option("--no-reminders", help="Remove all its reminders.")] = False,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Change a task: what is given, and nothing else."""
    from parley_cli.commands import tasks as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.change(
            client,
            task_id,
            title=title,
            due=due,
            notes=notes,
            priority=priority,
            project=project,
            repeat=repeat,
            remind=[] if no_reminders else remind or None,
            as_json=as_json,
        ),
    )


@tasks.command("list")
def task_list(
    include_completed: Annotated[bool, typer.Option("--all", help="The completed ones too.")] = False,
    project: Annotated[
        str, typer.Option(metavar="NAME", help="Only the tasks of this project.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to list at most.")] = 50,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List tasks, those first that are due first."""
    from parley_cli.commands import tasks as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.show(
            client, include_completed=include_completed, project=project, limit=limit, as_json=as_json
        ),
    )


@tasks.command("done")
def task_done(task_id: TaskId, address: Address = None, token: Token = None) -> None:
    """Mark a task as done."""
    from parley_cli.commands import tasks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.complete(client, task_id))


@tasks.command("reopen")
def task_reopen(task_id: TaskId, address: Address = None, token: Token = None) -> None:
    """Open a completed task again."""
    from parley_cli.commands import tasks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.reopen(client, task_id))


@tasks.command("delete")
def task_delete(task_id: TaskId, address: Address = None, token: Token = None) -> None:
    """Delete a task for good."""
    from parley_cli.commands import tasks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, task_id))
