"""The commands, their options and their help. What they do is imported when they run: `--help` waits for nothing."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Talk to Parley, and run it.",
    no_args_is_help=True,
    # Boxes around the help would cost more time than all the rest of it.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tokens = typer.Typer(
    help="Personal access tokens, for grpcurl, scripts and services.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(tokens, name="token")
agents = typer.Typer(help="The named agents that the operator keeps.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(agents, name="agent")
content = typer.Typer(help="Texts from templates.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(content, name="content")
tasks = typer.Typer(help="What is to be done.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tasks, name="task")
leads = typer.Typer(
    help="Models that learn from your rows which leads are worth the effort.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(leads, name="leads")
documents = typer.Typer(help="The files that Parley answers from.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(documents, name="documents")
jobs = typer.Typer(
    help="The jobs that make documents of files; the newest, when nothing else is said.", rich_markup_mode=None
)
app.add_typer(jobs, name="jobs")

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="PARLEY_ADDRESS",
        metavar="URL",
        help="Where Parley is, for example http://127.0.0.1:8080. The one that runs in PARLEY_HOME by default.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="PARLEY_TOKEN",
        metavar="TOKEN",
        help="A personal access token. By default the local user of PARLEY_HOME signs in.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Route = Annotated[
    Literal["automatic", "standard", "enhanced"] | None,
    typer.Option(
        "--route",
        help="Which way to answer: standard is fast, enhanced searches your documents. Parley chooses by default.",
    ),
]
Model = Annotated[
    str, typer.Option("--model", metavar="NAME", help="The model or alias that should answer.", show_default=False)
]
Queue = Annotated[
    bool,
    typer.Option(
        "--queue", help="When no model can be reached, wait for one rather than fail; the place is shown meanwhile."
    ),
]
Session = Annotated[str, typer.Option("--session", metavar="ID", help="The session to go on with.", show_default=False)]


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
        code = run_up()
    raise typer.Exit(code)


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
    as_json: Annotated[bool, typer.Option("--json", help="Print the final message as JSON.")] = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Ask one question. In a pipe the answer alone goes to standard output, as it comes. Ctrl-C stops the answer."""
    from parley_cli.commands import ask as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        asked = command.Question(command.read_question(question), session, route or "", model, queue)
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


@documents.command("add")
def documents_add(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="PDF, Word, HTML, Markdown, text, CSV and JSON, up to 100 MB."),
    ],
    title: Annotated[
        str,
        typer.Option(
            metavar="TITLE", help="What to call it; by default what the file calls itself.", show_default=False
        ),
    ] = "",
    project: Annotated[
        str, typer.Option(metavar="NAME", help="The project that they belong to.", show_default=False)
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Upload files and watch how they become documents. Their jobs go on without this command."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.add(client, paths, title=title, project=project, as_json=as_json),
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


@agents.command("list")
def agent_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the agents, with what each is good for."""
    from parley_cli.commands import agents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, as_json=as_json))


@app.command("agents", hidden=True)
def agents_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the agents: the same as `agent list`."""
    agent_list(as_json, address, token)


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


@content.command("list")
def content_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the templates, with the fields of each."""
    from parley_cli.commands import content as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, as_json=as_json))


@content.command("write")
def content_write(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The template, as `content list` shows it.")],
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A value of the template; as often as it has fields.")
    ] = None,
    tone: Annotated[
        str, typer.Option(metavar="WORDS", help="How it should sound, for example friendly.", show_default=False)
    ] = "",
    audience: Annotated[
        str, typer.Option(metavar="WORDS", help="Who reads it, for example engineers.", show_default=False)
    ] = "",
    length: Annotated[Literal["short", "medium", "long"] | None, typer.Option(help="How much to write.")] = None,
    language: Annotated[
        str, typer.Option(metavar="NAME", help="The language to write in, for example German.", show_default=False)
    ] = "",
    variants: Annotated[int, typer.Option(min=1, max=4, help="How many different texts to write.")] = 1,
    model: Model = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Write a text from a template. In a pipe the text alone goes to standard output. Ctrl-C ends it."""
    from parley_cli.commands import content as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        wish = command.ContentWish(
            template_id=template,
            fields=command.read_fields(field or []),
            tone=tone,
            audience=audience,
            length=length or "",
            language=language,
            variants=variants,
            model=model,
        )
    run_with_parley(address, token, lambda client, _: command.write(client, wish, as_json=as_json))


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
def status(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Show what runs, and how it is. Exits with 1 when Parley cannot answer."""
    from parley_cli.commands import status as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, place: command.status(client, place.address, as_json=as_json))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look for what keeps Parley from running here, and say how to mend it. Exits with 1 when something does."""
    from parley_cli.commands.doctor import doctor as run_doctor

    raise typer.Exit(run_doctor(as_json=as_json))


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
            client, title, due=due, notes=notes, priority=priority, project=project, as_json=as_json
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


ModelName = Annotated[str, typer.Argument(metavar="NAME", help="The model: 1 to 64 of a-z 0-9 _ -.")]
Version = Annotated[int, typer.Option(min=0, help="The version of the model; 0 is the newest.")]


@leads.command("train")
def leads_train(
    name: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a line of names.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="The column that says how each lead ended.")],
    positive: Annotated[
        str,
        typer.Option(
            metavar="VALUE", help="The value of that column that counts as a good end; won, yes and such are known."
        ),
    ] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=KIND",
            help="What a column holds, where finding it out goes wrong: numeric, categorical, text or ignored.",
        ),
    ] = None,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Train a model on a file of leads that have ended, and show how good it is."""
    from parley_cli.commands import leads as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        text, kinds = command.read_csv(file), command.read_kinds(kind or [])
    run_with_parley(
        address,
        token,
        lambda client, _: command.train(
            client, name, text, label=label, positive=positive, kinds=kinds, as_json=as_json
        ),
    )


@leads.command("list")
def leads_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the models."""
    from parley_cli.commands import leads as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show_all(client, as_json=as_json))


@leads.command("show")
def leads_show(
    name: ModelName, version: Version = 0, as_json: Json = False, address: Address = None, token: Token = None
) -> None:
    """Show what a model learned from, and how good it is."""
    from parley_cli.commands import leads as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, name, version=version, as_json=as_json))


@leads.command("score")
def leads_score(
    name: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a line of names.")],
    version: Version = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many to show, the best first.")] = 20,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Score the leads of a file, and say why. JSON has all of them, in the order of the file."""
    from parley_cli.commands import leads as command
    from parley_cli.running import errors_in_words, run_with_parley

    with errors_in_words(address):
        rows = command.read_leads(file)
    run_with_parley(
        address,
        token,
        lambda client, _: command.score(client, name, rows, version=version, limit=limit, as_json=as_json),
    )


@leads.command("delete")
def leads_delete(name: ModelName, address: Address = None, token: Token = None) -> None:
    """Delete a model with all its versions."""
    from parley_cli.commands import leads as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, name))
