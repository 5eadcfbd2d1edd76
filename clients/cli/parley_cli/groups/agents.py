"""`parley agent`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Model, Token

agents = typer.Typer(help="The named agents that the operator keeps.", no_args_is_help=True, rich_markup_mode=None)


@agents.command("list")
def agent_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the agents, with what each is good for."""
    from parley_cli.commands import agents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, as_json=as_json))


@agents.command("run")
def agent_run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent, as `agent list` shows it.")],
    words: Annotated[
        str, typer.Argument(metavar="INPUT", help="What it is to work on; - reads it from standard input.")
    ],
    model: Model = "",
    project: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Where an agent that searches looks: only in this project.", show_default=False
        ),
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Let an agent work. In a pipe what it says alone goes to standard output. Ctrl-C ends it."""
    from parley_cli.commands import agents as command
    from parley_cli.commands.ask import read_question
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        read = read_question(words)
    run_with_parley(
        address,
        token,
        lambda client, _: command.run(client, name, read, model=model, project=project, as_json=as_json),
    )
