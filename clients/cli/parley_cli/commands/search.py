"""`parley search`: the passages that fit some words."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.text import Text

from parley_cli.output import as_dict
from parley_cli.terminal import new_console, place_in_document, printable

if TYPE_CHECKING:
    from parley_client import Parley

_SHOWN_CHARACTERS = 400


async def search(client: Parley, words: str, *, limit: int, project: str, as_json: bool) -> int:
    """Searches and prints, best first. Returns 1 when nothing was found, as grep does."""
    hits = await client.search.passages(words, limit=limit, project=project)
    if as_json:
        print(json.dumps([as_dict(hit) for hit in hits], indent=2, ensure_ascii=False))
        return 0 if hits else 1
    if not hits:
        print("Nothing holds any of these words.", file=sys.stderr)
        return 1
    console = new_console()
    for number, hit in enumerate(hits, start=1):
        if number > 1:
            console.print()
        title = f"{number}. {place_in_document(hit.document_title, hit.heading)}"
        console.print(
            Text.assemble((title, "bold"), (f"  {hit.score:.2f}", "dim"), ("  shared" if hit.shared else "", "dim"))
        )
        text = " ".join(printable(hit.text).split())
        console.print(Text(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS].rstrip() + "…"))
    return 0
