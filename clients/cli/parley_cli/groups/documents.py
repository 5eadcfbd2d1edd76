"""`parley documents`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

documents = typer.Typer(help="The files that Parley answers from.", no_args_is_help=True, rich_markup_mode=None)


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


@documents.command("versions")
def documents_versions(
    document_id: Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's id.")],
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List the versions of a document that can be read, newest first."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.versions(client, document_id, as_json=as_json))


@documents.command("show")
def documents_show(
    document_id: Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's id.")],
    version: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=2**31 - 1, help="An older version of it.", show_default=False),
    ] = 0,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Print the text of a document: as it is, or as it was."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address, token, lambda client, _: command.show(client, document_id, version=version, as_json=as_json)
    )


@documents.command("audit")
def documents_audit(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Compare your documents with the index and the files. Exits with 1 when something differs and was not mended."""
    from parley_cli.commands import documents as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.audit(client, repair=repair, as_json=as_json))
