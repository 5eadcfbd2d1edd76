"""Options that many commands have, and what their help says."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

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
Project = Annotated[
    str, typer.Option("--project", metavar="ID", help="The project that a new session belongs to.", show_default=False)
]
Session = Annotated[str, typer.Option("--session", metavar="ID", help="The session to go on with.", show_default=False)]
