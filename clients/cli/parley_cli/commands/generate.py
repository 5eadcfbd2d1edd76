"""`parley generate` and `parley models`: text without a session, and what can write it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.ai.v1 import generation_service_pb2 as pb
from rich.table import Table

from parley_cli.generated import price, show_text
from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley

_CAPABILITIES = {
    pb.MODEL_CAPABILITY_GENERATE: "text",
    pb.MODEL_CAPABILITY_TOOLS: "tools",
    pb.MODEL_CAPABILITY_EMBED: "embeddings",
    pb.MODEL_CAPABILITY_IMAGES: "images",
    pb.MODEL_CAPABILITY_STRUCTURED_OUTPUT: "JSON Schema",
}


@dataclass(frozen=True)
class TextWish:
    """What is to be generated, and how."""

    prompt: str
    """What is asked."""
    model: str = ""
    """The model or alias; the default when empty."""
    system: str = ""
    """Instructions that come before it."""
    schema: dict[str, Any] | None = None
    """The JSON Schema that the text must satisfy; None for free text."""
    max_output_tokens: int | None = None
    """How many tokens to write at most; None for as many as the model allows."""
    cache_seconds: int = 0
    """For how long the same answer may be given again; 0 for never."""


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """The JSON Schema of a file; None without one. CommandError when it holds no JSON object."""
    if path is None:
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}.", exit_code=2) from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}.", exit_code=2) from error
    if not isinstance(schema, dict):
        raise CommandError(f"{path} is no JSON Schema: it must be an object.", exit_code=2)
    return schema


async def generate(client: Parley, wish: TextWish, *, as_json: bool) -> int:
    """Generates and shows the text. Returns the exit code."""
    if as_json:
        print_json(
            await client.generation.text(
                wish.prompt,
                model=wish.model,
                system=wish.system,
                response_schema=wish.schema,
                max_output_tokens=wish.max_output_tokens,
                cache_seconds=wish.cache_seconds,
            )
        )
        return 0
    await show_text(
        client.generation.stream(
            wish.prompt,
            model=wish.model,
            system=wish.system,
            response_schema=wish.schema,
            max_output_tokens=wish.max_output_tokens,
            cache_seconds=wish.cache_seconds,
        )
    )
    return 0


async def models(client: Parley, *, as_json: bool) -> int:
    """Prints the models that a request may name, the default first."""
    found = await client.generation.models()
    if as_json:
        print_json_list(found)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("model", "provider", "aliases", "can", "window", "in / out, a million tokens", ""):
        table.add_column(column, overflow="fold")
    for model in found:
        prices = ""
        if model.HasField("input_usd_micros") and model.HasField("output_usd_micros"):
            prices = f"{price(model.input_usd_micros)} / {price(model.output_usd_micros)}"
        notes = [word for word, told in (("built in", model.offline), ("left alone", not model.available)) if told]
        table.add_row(
            printable(model.model),
            printable(model.provider),
            printable(", ".join(model.aliases)),
            ", ".join(_CAPABILITIES.get(each, str(each)) for each in model.capabilities),
            str(model.context_window_tokens) if model.context_window_tokens else "",
            prices,
            ", ".join(notes),
        )
    new_console().print(table)
    return 0
