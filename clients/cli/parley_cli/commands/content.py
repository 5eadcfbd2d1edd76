"""`parley content`: texts from templates."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from parley.ai.v1 import content_service_pb2 as pb
from rich.markdown import Markdown
from rich.text import Text

from parley_cli.generated import figures, show_text
from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley
    from parley_client.content import LengthName


@dataclass(frozen=True)
class ContentWish:
    """What is to be written, and how. What is empty is left to the template."""

    template_id: str
    fields: dict[str, str] = field(default_factory=dict)
    tone: str = ""
    audience: str = ""
    length: str = ""
    """`short`, `medium` or `long`."""
    language: str = ""
    variants: int = 1
    model: str = ""


def read_fields(given: Sequence[str]) -> dict[str, str]:
    """The values of `name=value`, each name once. CommandError for what is none."""
    fields: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise CommandError(f"--field takes NAME=VALUE; {each!r} is none.", exit_code=2)
        if name in fields:
            raise CommandError(f"--field gives {name} twice.", exit_code=2)
        fields[name] = value
    return fields


async def show(client: Parley, *, as_json: bool) -> int:
    """Prints the templates with their fields, by name."""
    found = await client.content.templates()
    if as_json:
        print_json_list(found)
        return 0
    console = new_console()
    for number, template in enumerate(found):
        if number:
            console.print()
        console.print(Text.assemble((printable(template.template_id), "bold"), f"  {printable(template.description)}"))
        for one in template.fields:
            console.print(
                Text(f"  --field {one.name}=…  {printable(_about(one))}", style="" if one.required else "dim")
            )
    return 0


async def write(client: Parley, wish: ContentWish, *, as_json: bool) -> int:
    """Writes and shows the text; several one after the other, when all are there."""
    length = cast("LengthName | None", wish.length or None)
    if wish.variants == 1 and not as_json:
        await show_text(
            client.content.stream(
                wish.template_id,
                wish.fields,
                tone=wish.tone,
                audience=wish.audience,
                length=length,
                language=wish.language,
                model=wish.model,
            )
        )
        return 0
    response = await client.content.write(
        wish.template_id,
        wish.fields,
        tone=wish.tone,
        audience=wish.audience,
        length=length,
        language=wish.language,
        variant_count=wish.variants,
        model=wish.model,
    )
    if as_json:
        print_json(response)
        return 0
    console = new_console()
    for number, variant in enumerate(response.variants, start=1):
        if sys.stdout.isatty():
            console.rule(f"{number}")
            console.print(Markdown(printable(variant.text)))
        else:
            print(*(["", "---", ""] if number > 1 else []), variant.text, sep="\n")
    if len(response.variants) < wish.variants:
        print(f"{wish.variants - len(response.variants)} of {wish.variants} texts failed.", file=sys.stderr)
    if sys.stdout.isatty():
        console.print()
        console.print(Text(figures(response.variants[0].model, response.usage), style="dim"))
    return 0


def _about(one: pb.ContentField) -> str:
    words = one.description
    if one.choices:
        words += f" One of {', '.join(one.choices)}."
    if one.default_value:
        words += f" {one.default_value} when not given."
    elif not one.required:
        words += " May be left out."
    return words
