"""How one kind of file becomes text. Only the process that reads files calls this: what it is given may be made to harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason

Say = Callable[[int, int, str], None]
"""Is told how much was read, of how much (0 while it is not known), in what unit (`pages` or `characters`)."""


class FileFormat(Protocol):
    """Reads files of one kind."""

    def __call__(self, file: Path, longest: int, say: Say) -> FileText:
        """The text of the file, at most `longest` characters.

        Raises FileUnreadableError where it can say what is wrong; every other error means that the file is damaged.
        """
        ...


def joined(parts: Iterable[str], longest: int) -> str:
    """One text of many parts. Raises FileUnreadableError as soon as it is too long."""
    kept: list[str] = []
    length = 0
    for part in parts:
        length += len(part)
        if length > longest:
            raise too_long(longest)
        kept.append(part)
    return "".join(kept)


def too_long(longest: int) -> FileUnreadableError:
    """What is said of a file whose text is too long."""
    words = f"The text of the file is longer than {longest:,} characters. Split the file."
    return FileUnreadableError(FailureReason.TOO_LARGE, words)
