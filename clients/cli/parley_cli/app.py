"""The commands, their options and their help. What they do is imported when they run: `--help` waits for nothing."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from parley_cli.groups import (
    agents,
    approvals,
    audit,
    batches,
    budgets,
    calendar,
    content,
    documents,
    flags,
    jobs,
    leads,
    projects,
    tasks,
    tokens,
    users,
    webhooks,
)
from parley_cli.options import Address, Json, Model, Project, Queue, Route, Session, Token

app = typer.Typer(
    help="Talk to Parley, and run it.",
    no_args_is_help=True,
    # Boxes around the help would cost more time than all the rest of it.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tokens.tokens, name="token")
app.add_typer(users.users, name="user")
app.add_typer(agents.agents, name="agent")
app.add_typer(calendar.calendar, name="calendar")
app.add_typer(content.content, name="content")
app.add_typer(projects.projects, name="project")
app.add_typer(tasks.tasks, name="task")
app.add_typer(budgets.budgets, name="budget")
app.add_typer(webhooks.webhooks, name="webhook")
app.add_typer(flags.flags, name="flags")
app.add_typer(leads.leads, name="leads")
app.add_typer(documents.documents, name="documents")
app.add_typer(jobs.jobs, name="jobs")
app.add_typer(batches.batches, name="batch")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"parley {version('parley-cli')}")
        raise typer.Exit


@app.callback()
def parley(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the release and exit.")
    ] = False,
) -> None:
    """Talk to Parley, and run it.

    PARLEY_HOME is the folder of a Parley that runs on this machine: `.parley` in the working folder by default.
    """


@app.command()
def up(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The one port that people use; 0 takes a free one. [default: PARLEY_EDGE_PORT or 8080]",
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(help="The folder of data, keys and logs. [default: PARLEY_HOME or .parley]"),
    ] = None,
) -> None:
    """Run Parley on this machine, until Ctrl-C."""
    from parley_cli.commands.up import up as run_up
    from parley_cli.running import errors_in_words

    # Options are names for variables: what runs reads its settings from one place.
    if port is not None:
        os.environ["PARLEY_EDGE_PORT"] = str(port)
    if home is not None:
        os.environ["PARLEY_HOME"] = str(home)
    with errors_in_words(None):
        run_up()


@app.command()
def chat(
    session: Session = "",
    route: Route = None,
    model: Model = "",
    queue: Queue = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Talk in the terminal. Ctrl-C while an answer is written stops it."""
    from parley_cli.commands import chat as command
    from parley_cli.place import find_place
    from parley_cli.running import errors_in_words

    options = command.ChatOptions(session_id=session, route=route or "", model=model, queue=queue)
    with errors_in_words(address):
        code = command.chat(find_place(address), token, options)
    raise typer.Exit(code)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask; - reads it from standard input.")],
    session: Session = "",
    route: Route = None,
    model: Model = "",
    queue: Queue = False,
    project: Project = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the final message as JSON.")] = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Ask one question. In a pipe the answer alone goes to standard output, as it comes. Ctrl-C stops the answer."""
    from parley_cli.commands import ask as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        asked = command.Question(command.read_question(question), session, route or "", model, queue, project)
    run_with_parley(address, token, lambda client, _: command.ask(client, asked, as_json=as_json))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files (.md, .txt), or folders of them.")],
    project: Annotated[
        str, typer.Option(metavar="NAME", help="The project that they belong to.", show_default=False)
    ] = "",
    address: Address = None,
    token: Token = None,
) -> None:
    """Make files searchable and citable. Files that are there already are left as they are."""
    from parley_cli.commands import ingest as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.ingest(client, paths, project=project))


@app.command()
def search(
    words: Annotated[str, typer.Argument(metavar="WORDS", help="A question, or words.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many passages at most.")] = 5,
    project: Annotated[str, typer.Option(metavar="NAME", help="Only in this project.", show_default=False)] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Find passages in documents. Exits with 1 when there are none."""
    from parley_cli.commands import search as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address, token, lambda client, _: command.search(client, words, limit=limit, project=project, as_json=as_json)
    )


@app.command()
def suggest(
    session: Session = "",
    limit: Annotated[int, typer.Option(min=1, max=10, help="How many suggestions at most.")] = 4,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Suggest what to say next, in a session or to begin with."""
    from parley_cli.commands import suggest as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address, token, lambda client, _: command.suggest(client, session_id=session, limit=limit, as_json=as_json)
    )


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to write; - reads it from standard input.")],
    model: Model = "",
    system: Annotated[
        str, typer.Option(metavar="TEXT", help="Instructions that come before the prompt.", show_default=False)
    ] = "",
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A JSON Schema; the text is then JSON that satisfies it.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="How many tokens to write at most.")
    ] = None,
    cache: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=86_400,
            help="For how long the same text may be given again for the same prompt.",
        ),
    ] = 0,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Have a text written that belongs to no session. In a pipe the text alone goes to standard output. Ctrl-C ends it."""
    from parley_cli.commands import generate as command
    from parley_cli.commands.ask import read_question
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        wish = command.TextWish(
            read_question(prompt), model, system, command.read_schema(schema), max_tokens, cache_seconds=cache
        )
    run_with_parley(address, token, lambda client, _: command.generate(client, wish, as_json=as_json))


@app.command()
def models(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the models that can be named, the default first."""
    from parley_cli.commands import generate as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.models(client, as_json=as_json))


@app.command("agents", hidden=True)
def agents_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the agents: the same as `agent list`."""
    agents.agent_list(as_json, address, token)


@app.command()
def sessions(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List the last sessions."""
    from parley_cli.commands import sessions as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.sessions(client, limit=limit, as_json=as_json))


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Show what runs, and how it is. Exits with 1 when Parley cannot answer."""
    from parley_cli.commands import status as command
    from parley_cli.running import run_with_parley

    show = command.watch if watch else command.status
    run_with_parley(address, token, lambda client, place: show(client, place.address, as_json=as_json))


@app.command("self-test")
def self_test(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Use every service once, and show what worked and how long it took. Exits with 1 when something failed."""
    from parley_cli.commands import self_test as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.self_test(client, as_json=as_json))


@app.command()
def export(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session: `parley sessions` lists them.")],
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write. [default: standard output]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON, with every message of every branch, instead of Markdown.")
    ] = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Write a conversation as Markdown or JSON."""
    from parley_cli.commands import export as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.export(client, session, as_json=as_json, file=file))


@app.command()
def usage(
    by: Annotated[
        str,
        typer.Option(
            metavar="DAY,…", help="What to split by: day, model, route, session, purpose, project, with commas between."
        ),
    ] = "day",
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days to look back, today included.")] = 30,
    session: Annotated[str, typer.Option(metavar="ID", help="Only this session.", show_default=False)] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for a spreadsheet.")] = False,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Show what models took for you: requests, tokens, cost and times."""
    from parley_cli.commands import usage as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        dimensions = command.read_dimensions(by)

    run_with_parley(
        address,
        token,
        lambda client, _: command.usage(
            client, by=dimensions, days=days, session_id=session, as_csv=as_csv, as_json=as_json
        ),
    )


@app.command()
def estimate(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What would be sent.")],
    session: Session = "",
    route: Route = None,
    model: Model = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Show what a message would cost, and whether it fits your budgets. Exits with 1 when it does not."""
    from parley_cli.commands import budgets as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.estimate(
            client, message, session_id=session, route=route or "", model=model, as_json=as_json
        ),
    )


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look for what keeps Parley from running here, and say how to mend it. Exits with 1 when something does."""
    from parley_cli.commands.doctor import doctor as run_doctor

    raise typer.Exit(run_doctor(as_json=as_json))


@app.command()
def events(
    after: Annotated[
        int | None,
        typer.Option(
            min=0, help="The place of the last event that you have. [default: the beginning, or now with --follow]"
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Show what changed in your sessions, messages and tasks, oldest first."""
    from parley_cli.commands import events as command
    from parley_cli.running import run_with_parley

    start = after if after is not None else -1 if follow else 0
    run_with_parley(
        address, token, lambda client, _: command.events(client, after=start, follow=follow, as_json=as_json)
    )


approvals.add_to(app)
audit.add_to(app)
