"""Reads the text out of files that cannot be trusted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.files import FileText

ReadingProgress = Callable[[int, int, str], Awaitable[None]]
"""Is told how much was read, of how much, in what unit (`pages` or `characters`)."""


class FileReader(Protocol):
    """Reads files by what is in them. Bounded in time and memory, whatever the file does."""

    async def read(self, file: Path, wanted: MediaType | None, progress: ReadingProgress) -> FileText:
        """The text of a file. `wanted` decides between kinds that look alike.

        Raises FileUnreadableError. When it is cancelled, nothing goes on.
        """
        ...
