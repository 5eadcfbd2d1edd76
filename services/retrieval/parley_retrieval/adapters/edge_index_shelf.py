"""The generations of the embedded index: a folder each, and a file that names the one that answers. Not how one of them is searched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import shutil
from pathlib import Path

from parley_retrieval.adapters.edge_vector_index import EdgeVectorIndex, read_about, take_folder
from parley_retrieval.domain.meaning import Space

logger = logging.getLogger(__name__)

_CURRENT = "current.json"
_GENERATIONS = "generations"


class EdgeIndexShelf:
    """`IndexShelf` in a folder. Made open: nothing else may be called before `open`."""

    def __init__(self, folder: Path, encoding: str) -> None:
        """`encoding` says what the sparse vectors depend on."""
        self._folder = folder
        self._encoding = encoding
        self._current: EdgeVectorIndex | None = None
        self._next: EdgeVectorIndex | None = None
        self._lock: int | None = None

    @property
    def current(self) -> EdgeVectorIndex:
        """See `IndexShelf`."""
        if self._current is None:
            raise RuntimeError("the shelf is not open")
        return self._current

    @property
    def next(self) -> EdgeVectorIndex | None:
        """See `IndexShelf`."""
        return self._next

    async def open(self) -> None:
        """Opens the generation that answers; an index that is missing, of another encoding, or broken starts empty.

        Raises IndexInUseError when another process has it, OSError when the folder cannot be used.
        """
        await asyncio.to_thread(self._take)
        self._current = await self._opened(await asyncio.to_thread(self._named))
        left = await asyncio.to_thread(self._left)
        # What an earlier process was making is open from the start, so that no write passes it by.
        self._next = await self._opened(left) if left is not None else None

    async def refresh(self) -> None:
        """See `IndexShelf`. No other process can have changed it."""

    async def close(self) -> None:
        """Lets go of the folder. Does not flush."""
        for index in (self._next, self._current):
            if index is not None:
                await index.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def begin(self, space: Space) -> None:
        """See `IndexShelf`."""
        if self._next is not None:
            if self._next.space == space:
                return
            await self.abandon()
        await asyncio.to_thread(self._drop_others, {self._name(self.current.space), self._name(space)})
        self._next = await self._opened(space)

    async def promote(self) -> None:
        """See `IndexShelf`."""
        if self._next is None:
            raise RuntimeError("no generation is being made")
        await self._next.flush()
        await asyncio.to_thread(self._write_current, self._next.space)
        before, self._current, self._next = self.current, self._next, None
        await before.close()
        await asyncio.to_thread(self._drop_others, {self._name(self._current.space)})

    async def abandon(self) -> None:
        """See `IndexShelf`."""
        if self._next is not None:
            index, self._next = self._next, None
            await index.close()
        await asyncio.to_thread(self._drop_others, {self._name(self.current.space)})

    async def _opened(self, space: Space | None) -> EdgeVectorIndex:
        index = EdgeVectorIndex(self._folder / _GENERATIONS / self._name(space), self._encoding, space)
        try:
            await index.open()
        except BaseException:
            await index.close()
            raise
        return index

    def _name(self, space: Space | None) -> str:
        if space is None:
            return "words"
        return hashlib.sha256(f"{space.dimensions} {space.model}".encode()).hexdigest()[:16]

    def _named(self) -> Space | None:
        """The space of the generation that answers, as the file says; none when there is no such file."""
        try:
            written = json.loads((self._folder / _CURRENT).read_text(encoding="utf-8"))
            return Space(str(written["model"]), int(written["dimensions"])) if written["model"] else None
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            logger.warning("the file that names the current index cannot be read", exc_info=True)
            return None

    def _left(self) -> Space | None:
        """The space of a generation that an earlier process was making; None when there is none."""
        for path in sorted((self._folder / _GENERATIONS).iterdir()):
            about = read_about(path)
            space = Space(about["model"], about["dimensions"]) if about and about.get("model") else None
            if space is not None and path.name == self._name(space) and space != self.current.space:
                return space
        return None

    def _write_current(self, space: Space | None) -> None:
        written = {"model": space.model if space else "", "dimensions": space.dimensions if space else 0}
        temporary = self._folder / f".{_CURRENT}"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(written, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / _CURRENT)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _drop_others(self, names: set[str]) -> None:
        for path in (self._folder / _GENERATIONS).iterdir():
            if path.name not in names:
                shutil.rmtree(path, ignore_errors=True)

    def _take(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = take_folder(self._folder)
        # Before there were generations the one index lay in the folder itself. It is made anew from the database.
        shutil.rmtree(self._folder / "shard", ignore_errors=True)
        (self._folder / "about.json").unlink(missing_ok=True)
