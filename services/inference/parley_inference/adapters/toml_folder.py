"""A folder of TOML files that an operator writes, one for each thing, named after it.

What the keys mean is said by who reads them (toml_agents.py, toml_content_templates.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parley_shared.toml_tables import Table
from parley_shared.toml_tables import TableError as FolderError

__all__ = ["MOST_BYTES", "MOST_FILES", "FolderError", "Table", "tables_in"]

MOST_FILES = 200
MOST_BYTES = 256 * 1024
_SUFFIX = ".toml"


def tables_in(folder: Path, name: re.Pattern[str], described: str) -> Iterator[tuple[str, Table]]:
    """The files of a folder in the order of their names, each with what it is named after. Hidden files, and those that do not end in
    `.toml`, are passed over. Raises FolderError.
    """
    try:
        files = sorted(one for one in folder.iterdir() if one.suffix == _SUFFIX and not one.name.startswith("."))
    except OSError as error:
        raise FolderError(f"the folder cannot be read: {error.strerror}") from error
    if len(files) > MOST_FILES:
        raise FolderError(f"the folder holds more than {MOST_FILES} files of TOML")
    for file in files:
        shown = file.name if file.name.isprintable() else ascii(file.name)
        if not name.fullmatch(file.stem):
            raise FolderError(f"{shown[:100]}: its name must be {described}, and {_SUFFIX}")
        yield file.stem, Table(shown, _values(file, shown))


def _values(file: Path, shown: str) -> Mapping[str, Any]:
    try:
        if not file.is_file():
            raise FolderError(f"{shown}: is not a file")
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise FolderError(f"{shown}: cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise FolderError(f"{shown}: is larger than {MOST_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise FolderError(f"{shown}: is not UTF-8 (line {line})") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # Integers with thousands of digits are a ValueError that is not TOML's.
        raise FolderError(f"{shown}: is not TOML: {error}") from None
