"""`parley ingest`: files and folders of Markdown and text become documents that can be searched and cited."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from parley_client import ParleyError, UnauthenticatedError, UnavailableError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley
    from parley_client.documents import MediaTypeName

_MEDIA_TYPES: dict[str, MediaTypeName] = {".md": "markdown", ".markdown": "markdown", ".txt": "plain_text"}
_MOST_CHARACTERS = 1_000_000
# A character is at most four bytes of UTF-8: what is larger needs no reading.
_MOST_BYTES = 4 * _MOST_CHARACTERS + 3
_AT_ONCE = 4


class Outcome(Enum):
    """What became of a file."""

    CREATED = "created"
    KNOWN = "already there"
    REFUSED = "refused"


@dataclass(frozen=True)
class Report:
    """One file's line."""

    path: Path
    outcome: Outcome
    words: str


class RefusedFileError(Exception):
    """A file that cannot become a document. The message says why."""


async def ingest(client: Parley, paths: Sequence[Path], *, project: str) -> int:
    """Stores every file and prints a line for each. Returns 1 when one was refused, or when there was none.

    A Parley that is away, or that refuses the token, ends it: ParleyError.
    """
    files = list(dict.fromkeys(find_files(paths)))
    if not files:
        print("There are no .md or .txt files there.", file=sys.stderr)
        return 1
    console = new_console()
    progress = _progress(len(files))
    counts: Counter[Outcome] = Counter()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(path: Path) -> Report:
        async with slots:
            return await _store(client, path, project)

    tasks = [asyncio.create_task(one(path)) for path in files]
    try:
        with progress as bar:
            # In the order of the files, whichever is first: a list that can be compared with the last one.
            for task in tasks:
                report = await task
                counts[report.outcome] += 1
                (bar.console if bar is not None else console).print(_line(report))
                if bar is not None:
                    bar.advance(bar.task_ids[0])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    summary = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
    print(f"{len(files)} {'file' if len(files) == 1 else 'files'}: {summary}", file=sys.stderr)
    return 1 if counts[Outcome.REFUSED] else 0


def find_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are named, and in folders every .md, .markdown and .txt below, hidden ones left out, in alphabetical order."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix.lower() in _MEDIA_TYPES:
                    yield Path(folder) / name


def read_text(path: Path) -> str:
    """The text of a file. RefusedFileError says why it is none that Parley takes."""
    if path.suffix.lower() not in _MEDIA_TYPES:
        raise RefusedFileError("only .md, .markdown and .txt can be ingested")
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise RefusedFileError(f"{size:,} bytes; a document has at most {_MOST_CHARACTERS:,} characters")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RefusedFileError("there is no such file") from error
    except OSError as error:
        raise RefusedFileError(f"it cannot be read: {error.strerror}") from error
    try:
        # A byte order mark is no part of the text.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFileError(f"not UTF-8 text: byte {data[error.start]:#04x} at {error.start:,}") from error
    if not text.strip():
        raise RefusedFileError("it is empty")
    if len(text) > _MOST_CHARACTERS:
        raise RefusedFileError(f"{len(text):,} characters; a document has at most {_MOST_CHARACTERS:,}")
    return text


async def _store(client: Parley, path: Path, project: str) -> Report:
    try:
        text = await asyncio.to_thread(read_text, path)
        response = await client.documents.create(
            text, media_type=_MEDIA_TYPES[path.suffix.lower()], project=project, source_uri=_source(path)
        )
    except RefusedFileError as error:
        return Report(path, Outcome.REFUSED, str(error))
    except (UnauthenticatedError, UnavailableError):
        # That is not the file's fault, and the next file's fate would be the same.
        raise
    except ParleyError as error:
        return Report(path, Outcome.REFUSED, str(error))
    document = response.document
    chunks = f"{document.chunk_count} {'chunk' if document.chunk_count == 1 else 'chunks'}"
    return Report(path, Outcome.CREATED if response.created else Outcome.KNOWN, f"{document.title} · {chunks}")


def _source(path: Path) -> str:
    # As its owner gave it; what is longer than the contract takes is of no use to a reader either.
    text = path.as_posix()
    return text if len(text) <= 2000 else ""


def _line(report: Report) -> Text:
    styles = {Outcome.CREATED: "green", Outcome.KNOWN: "dim", Outcome.REFUSED: "red"}
    return Text.assemble(
        (f"{report.outcome.value:<13} ", styles[report.outcome]),
        printable(str(report.path)),
        (f"  {printable(report.words)}", "red" if report.outcome is Outcome.REFUSED else "dim"),
    )


def _progress(files: int) -> AbstractContextManager[Progress | None]:
    """A bar below the lines, when both are on a terminal."""
    if files < 2 or not sys.stdout.isatty():
        return nullcontext()
    columns = (TextColumn("ingesting"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, console=new_console(), transient=True)
    progress.add_task("ingesting", total=files)
    return progress
