"""`FileReader` in a process of its own for each file: it has little memory, little time, no settings, and can be killed.

What reads the files is `parley_retrieval.read_file`; it is trusted as little as the file that it reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from parley_retrieval.domain.documents import TITLE_CHARACTERS, MediaType
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.domain.outline import HEADING_CHARACTERS, LEVELS, OUTLINE_HEADINGS, Heading
from parley_retrieval.ports.file_reader import ReadingProgress

logger = logging.getLogger(__name__)

_UNITS = ("pages", "characters")
_LINE_BYTES = 65_536
_CHILD = ("-I", "-m", "parley_retrieval.read_file")


class _CrashedError(Exception):
    """The process was ended by a signal that is none of ours."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.signal = number


class ProcessFileReader:
    """The port `FileReader`."""

    def __init__(self, *, seconds: float, memory_bytes: int, text_characters: int) -> None:
        """How long one file may take, how much memory its process may use, and how long its text may be."""
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._text_characters = text_characters

    async def read(self, file: Path, wanted: MediaType | None, progress: ReadingProgress) -> FileText:
        """See `FileReader`. A reader that crashes gets a second try: it may have been the machine, and a damaged file does it again."""
        try:
            return await self._read(file, wanted, progress)
        except _CrashedError as error:
            logger.warning("the process that reads files crashed (signal %d) and is tried once more", error.signal)
        try:
            return await self._read(file, wanted, progress)
        except _CrashedError as error:
            words = "The file is damaged: reading it failed."
            raise FileUnreadableError(FailureReason.BROKEN, words) from error

    async def _read(self, file: Path, wanted: MediaType | None, progress: ReadingProgress) -> FileText:
        with tempfile.TemporaryDirectory(prefix="parley-reading-") as folder:
            result = Path(folder) / "result"
            process = await self._start(file, result, wanted)
            try:
                async with asyncio.timeout(self._seconds):
                    await _listen(process, progress)
                    code = await process.wait()
            except TimeoutError:
                words = f"Reading the file took more than {self._seconds:g} seconds."
                raise FileUnreadableError(FailureReason.TOO_LARGE, words) from None
            finally:
                await _end(process)
            if code != 0:
                raise _died(code)
            return await asyncio.to_thread(self._result, result)

    async def _start(self, file: Path, result: Path, wanted: MediaType | None) -> Process:
        arguments = {
            "file": str(file),
            "result": str(result),
            "wanted": wanted.value if wanted else "",
            "memory_bytes": self._memory_bytes,
            "seconds": self._seconds,
            "text_characters": self._text_characters,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *_CHILD,
            json.dumps(arguments),
            # It ends when this pipe does: when this process is dead, however it died.
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            # No key, no address, no path of ours.
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
            cwd=result.parent,
            start_new_session=True,
            limit=_LINE_BYTES,
        )

    def _result(self, path: Path) -> FileText:
        """What the process wrote, checked."""
        try:
            if path.stat().st_size > 12 * self._text_characters + 100_000_000:
                raise ValueError("more than a text may be")
            found = json.loads(path.read_bytes())
            if "reason" not in found:
                return self._checked(found)
            refusal = FileUnreadableError(FailureReason(found["reason"]), str(found["words"])[:500])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RuntimeError("the process that reads files wrote what is no result") from error
        raise refusal

    def _checked(self, found: dict[str, Any]) -> FileText:
        text, title = found["text"], found["title"]
        starts = tuple(found["page_starts"])
        if not isinstance(text, str) or not isinstance(title, str) or not text.strip() or "\0" in text + title:
            raise ValueError("no text")
        if len(text) > self._text_characters or len(title) > TITLE_CHARACTERS:
            raise ValueError("too long")
        if list(starts) != sorted(starts) or not all(
            type(start) is int and 0 <= start <= len(text) for start in starts
        ):
            raise ValueError("no pages")
        text.encode()  # Raises for what no database stores.
        outline = tuple(_heading(*one, longest=len(text)) for one in found["outline"])
        if len(outline) > OUTLINE_HEADINGS or any(one.end > after.start for one, after in pairwise(outline)):
            raise ValueError("no outline")
        return FileText(MediaType(found["media_type"]), title, text, starts, outline)


def _heading(level: object, title: object, start: object, end: object, *, longest: int) -> Heading:
    """A heading of the process, checked."""
    if type(level) is not int or type(start) is not int or type(end) is not int or not isinstance(title, str):
        raise ValueError("no heading")
    if not (1 <= level <= LEVELS and 0 <= start <= end <= longest and 1 <= len(title) <= HEADING_CHARACTERS):
        raise ValueError("no heading")
    if "\0" in title:
        raise ValueError("no heading")
    title.encode()
    return Heading(level, title, start, end)


async def _listen(process: Process, progress: ReadingProgress) -> None:
    """Passes on what the process says of its progress, until it says no more."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    with suppress(ValueError):  # A line that is too long: whoever writes that has nothing to say.
        async for line in process.stdout:
            match json.loads(line):
                case {"done": int(done), "total": int(total), "unit": str(unit)} if unit in _UNITS:
                    await progress(max(0, done), max(0, total), unit)


def _died(code: int) -> Exception:
    if -code in {signal.SIGXCPU, signal.SIGKILL}:
        return FileUnreadableError(FailureReason.TOO_LARGE, "Reading the file took more time or memory than it may.")
    if code > 0:
        # It says what is wrong with a file and ends with 0: this is not the file's fault.
        return RuntimeError(f"the process that reads files ended with {code}")
    return _CrashedError(-code)


async def _end(process: Process) -> None:
    """Kills the process with all that it started, if it still runs."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    await asyncio.shield(process.wait())
