"""`parley jobs`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

jobs = typer.Typer(
    help="The jobs that make documents of files; the newest, when nothing else is said.", rich_markup_mode=None
)


JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job, as `jobs` shows it.")]


@jobs.callback(invoke_without_command=True)
def jobs_list(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List the newest jobs, or look after one."""
    if context.invoked_subcommand is not None:
        return
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.jobs(client, limit=limit, as_json=as_json))


@jobs.command("watch")
def jobs_watch(job_id: JobId, address: Address = None, token: Token = None) -> None:
    """Show how a job goes, until it has ended. Exits with 1 when no document came of it."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.watch(client, job_id))


@jobs.command("cancel")
def jobs_cancel(job_id: JobId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Cancel a job. Exits with 1 when it had ended before."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.cancel(client, job_id, as_json=as_json))


@jobs.command("retry")
def jobs_retry(job_id: JobId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Begin a failed or cancelled job again."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.retry(client, job_id, as_json=as_json))
