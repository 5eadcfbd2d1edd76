"""Reads one file and ends: `python -m parley_retrieval.read_file <JSON>`. It joins the kinds of files; nothing else starts it.

It is started by `adapters/process_file_reader.py`, limits itself before it looks at the file, tells its progress in lines of JSON
on standard output, and writes the text, or why there is none, to a file. Every exit code but 0 is a failure of its own.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from parley_retrieval.domain.documents import TITLE_CHARACTERS, MediaType, title_of
from parley_retrieval.domain.file_kinds import HEAD_BYTES, binary_kind, text_kind
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.domain.structured_texts import MalformedTextError, csv_lines, json_lines
from parley_retrieval.ports.file_format import Say, joined, too_long

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SAY_SECONDS = 0.2
_NO_TEXT = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def main() -> int:
    """Reads the file that the first argument names."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    _limit(arguments["memory_bytes"], arguments["seconds"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    wanted = MediaType(arguments["wanted"]) if arguments["wanted"] else None
    with Path(arguments["file"]).open("rb"):
        pass  # A file that is not there, or that we may not open, is not a damaged one: that ends this process with an error.
    result = Path(arguments["result"])
    try:
        found = read(Path(arguments["file"]), wanted, arguments["text_characters"], _Speaker())
        _write(result, found)
    except FileUnreadableError as error:
        _refuse(result, error.reason, error.words)
    except MalformedTextError as error:
        _refuse(result, FailureReason.BROKEN, str(error))
    except MemoryError:
        _refuse(result, FailureReason.TOO_LARGE, "Reading the file took more memory than it may.")
    except Exception:  # noqa: BLE001 - whatever a damaged file does to a library, it is a damaged file
        _refuse(result, FailureReason.BROKEN, "The file is damaged: it could not be read.")
    return 0


def read(file: Path, wanted: MediaType | None, longest: int, say: Say) -> FileText:
    """The text of a file, by what is in it. Raises FileUnreadableError, or whatever a damaged file makes a library raise."""
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise FileUnreadableError(FailureReason.NO_TEXT, "The file is empty.")
    kind = binary_kind(head)
    if isinstance(kind, str):
        raise FileUnreadableError(FailureReason.UNSUPPORTED, f"The file is {kind}.")
    if head.startswith(_OLE):
        raise _of_old_word(file)
    found = _text(file, wanted, longest, say) if kind is None else _format(kind)(file, longest, say)
    text = _clean(found.text)
    if not text.strip():
        raise FileUnreadableError(FailureReason.NO_TEXT, "The file holds no text.")
    title = " ".join(_clean(found.title).split())[:TITLE_CHARACTERS].rstrip()
    return FileText(found.media_type, title, text, found.page_starts, found.outline)


def _format(kind: MediaType) -> Callable[[Path, int, Say], FileText]:
    # Each is imported where it is needed: the process reads one file and ends.
    if kind is MediaType.PDF:
        from parley_retrieval.adapters.pypdfium2_file_format import read_pdf  # noqa: PLC0415 - see above

        return read_pdf
    from parley_retrieval.adapters.docx_file_format import read_docx  # noqa: PLC0415 - see above

    return read_docx


def _text(file: Path, wanted: MediaType | None, longest: int, say: Say) -> FileText:
    from parley_retrieval.adapters.charset_text_decoder import decode  # noqa: PLC0415 - only where it is needed

    text = decode(file.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise FileUnreadableError(FailureReason.NO_TEXT, "The file holds no text.")
    kind = text_kind(text, wanted)
    say(0, len(text), "characters")
    title = ""
    match kind:
        case MediaType.HTML:
            from parley_retrieval.adapters.selectolax_file_format import read_html  # noqa: PLC0415 - only where it is needed

            found = read_html(text, longest)
            title, text = found.title, found.text
        case MediaType.CSV:
            text = joined(csv_lines(text), longest)
        case MediaType.JSON:
            text = joined(json_lines(text), longest)
        case MediaType.MARKDOWN:
            title = title_of(text, kind)
        case _:
            pass
    if len(text) > longest:
        raise too_long(longest)
    say(len(text), len(text), "characters")
    return FileText(kind, title, text)


def _of_old_word(file: Path) -> FileUnreadableError:
    """Says what an OLE file is: an encrypted Office file, or an old one."""
    with file.open("rb") as stream:
        name = "EncryptedPackage".encode("utf-16-le")
        before = b""
        while part := stream.read(1_000_000):
            if name in before + part:
                return FileUnreadableError(FailureReason.ENCRYPTED, "The Office file is locked with a password.")
            before = part[-len(name) :]
    return FileUnreadableError(FailureReason.UNSUPPORTED, "The file is of an old Office; save it as .docx.")


def _clean(text: str) -> str:
    """Without what no database stores. As long as before, so that places in the text stay right."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _NO_TEXT.sub(" ", text))


def _write(result: Path, found: FileText) -> None:
    with result.open("w", encoding="utf-8") as stream:
        json.dump(
            {
                "media_type": found.media_type.value,
                "title": found.title,
                "text": found.text,
                "page_starts": found.page_starts,
                "outline": [(one.level, _clean(one.title), one.start, one.end) for one in found.outline],
            },
            stream,
            ensure_ascii=False,
        )


def _refuse(result: Path, reason: FailureReason, words: str) -> None:
    result.write_text(json.dumps({"reason": reason.value, "words": words}), encoding="utf-8")


def _limit(memory_bytes: int, seconds: float) -> None:
    with suppress(ValueError, OSError):  # Not every system has every limit; the parent's clock is there always.
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_parent() -> None:
    """The other end of standard input is open as long as the parent lives."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(3)


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


class _Speaker:
    """Tells the progress, a few times a second."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if now - self._last >= _SAY_SECONDS or done == total:
            self._last = now
            _say({"done": done, "total": total, "unit": unit})


if __name__ == "__main__":
    sys.exit(main())
