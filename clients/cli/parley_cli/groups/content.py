"""`parley content`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated, Literal

import typer

from parley_cli.options import Address, Json, Model, Token

content = typer.Typer(help="Texts from templates.", no_args_is_help=True, rich_markup_mode=None)


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
