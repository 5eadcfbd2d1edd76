"""`Corpus` of files and folders of Markdown."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from parley_retrieval.domain.documents import TEXT_CHARACTERS
from parley_retrieval.ports.corpus import CorpusFile

logger = logging.getLogger(__name__)

_MOST_FILES = 5_000


class FolderCorpus:
    """Reads `*.md` under the given folders, and the given files. Paths are told from the folder that holds them all."""

    def __init__(self, entries: Sequence[Path]) -> None:
        """`entries` exist. None gives an empty corpus."""
        self._entries = [entry.resolve() for entry in entries]

    async def files(self) -> AsyncIterator[CorpusFile]:
        """See `Corpus`. Hidden folders, `node_modules` and links that lead out of their folder are left out."""
        if not self._entries:
            return
        base = Path(os.path.commonpath([entry if entry.is_dir() else entry.parent for entry in self._entries]))
        paths = await asyncio.to_thread(lambda: sorted(set(self._paths())))
        if len(paths) > _MOST_FILES:
            logger.warning("the sample corpus has too many files", extra={"files": len(paths), "taken": _MOST_FILES})
        for path in paths[:_MOST_FILES]:
            text = await asyncio.to_thread(_read, path)
            if text is not None:
                yield CorpusFile(path.relative_to(base).as_posix(), text)

    def _paths(self) -> Iterator[Path]:
        for entry in self._entries:
            if entry.is_file():
                yield entry
                continue
            for folder, folders, names in os.walk(entry):
                folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
                for name in names:
                    path = Path(folder, name)
                    inside = path.is_file() and path.resolve().is_relative_to(entry)
                    if name.lower().endswith(".md") and not name.startswith(".") and inside:
                        yield path


def _read(path: Path) -> str | None:
    try:
        # A character has at most four bytes: a larger file is too long, whatever it says.
        text = path.read_bytes().decode("utf-8-sig") if path.stat().st_size <= 4 * TEXT_CHARACTERS else None
    except (OSError, UnicodeDecodeError):
        logger.warning("a file of the sample corpus cannot be read", extra={"path": str(path)}, exc_info=True)
        return None
    if text is None or len(text) > TEXT_CHARACTERS or "\0" in text:
        logger.warning("a file of the sample corpus is too long or no text", extra={"path": str(path)})
        return None
    return text if text.strip() else None
