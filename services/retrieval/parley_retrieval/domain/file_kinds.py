"""What a file is, by what is in it. Its name says nothing here."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.outline import headings

HEAD_BYTES = 8_192
"""How much of a file is enough to know it by its first bytes."""

_FOREIGN: Sequence[tuple[bytes, str]] = (
    (b"\x89PNG\r\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"II*\x00", "a picture (TIFF)"),
    (b"MM\x00*", "a picture (TIFF)"),
    (b"BM", "a picture (BMP)"),
    (b"ID3", "a sound (MP3)"),
    (b"OggS", "a sound (Ogg)"),
    (b"fLaC", "a sound (FLAC)"),
    (b"\x1f\x8b", "a compressed file (gzip)"),
    (b"BZh", "a compressed file (bzip2)"),
    (b"\xfd7zXZ\x00", "a compressed file (xz)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"Rar!", "an archive (RAR)"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database (SQLite)"),
    (b"{\\rtf", "a document in RTF; save it as .docx"),
    (b"%!PS", "a PostScript file; save it as PDF"),
)
_TEXTUAL_MAGIC = frozenset({b"BM", b"MZ", b"BZh", b"ID3", b"OggS", b"fLaC", b"Rar!", b"GIF8"})
"""Letters that a text may begin with as well: they count only where something follows that no text holds."""

_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_HTML_END = re.compile(r"</(?:p|div|body|html|table|ul|ol|h[1-6]|article|section)\s*>", re.IGNORECASE)
_MARKDOWN = re.compile(
    r"^(?: {0,3}(?:[-*+]|\d{1,3}[.)]) +\S| {0,3}>|```|~~~|\|.+\|\s*$)|\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)|\*\*\S[^*\n]{0,200}\*\*",
    re.MULTILINE,
)
_LOOK_CHARACTERS = 50_000
_DELIMITERS = ",;\t|"
_NAME_CHARACTERS = 80


def binary_kind(head: bytes) -> MediaType | str | None:
    """What the first bytes of a file say: a kind that is read, words for one that is not, or None: perhaps a text.

    A ZIP file is taken for a Word file: whether it is one, is seen inside.
    """
    if b"%PDF-" in head[:1024]:
        return MediaType.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return MediaType.DOCX
    if head.startswith(b"RIFF") and head[8:12] in {b"WEBP", b"WAVE", b"AVI "}:
        return "a picture, a sound or a film"
    if head[4:8] == b"ftyp":
        return "a film or a picture"
    for magic, words in _FOREIGN:
        if head.startswith(magic) and (magic not in _TEXTUAL_MAGIC or _has_control_characters(head)):
            return words
    return None


def text_kind(text: str, wanted: MediaType | None) -> MediaType:
    """What a text is. `wanted` decides when it is one of the kinds that are texts."""
    if wanted in {MediaType.MARKDOWN, MediaType.PLAIN_TEXT, MediaType.HTML, MediaType.CSV, MediaType.JSON}:
        return wanted
    head = text[:_LOOK_CHARACTERS]
    if _HTML_START.match(head) or (head.lstrip().startswith("<") and _HTML_END.search(head)):
        return MediaType.HTML
    if _is_json(text):
        return MediaType.JSON
    if delimiter_of(head) and not head.lstrip().startswith("|"):
        return MediaType.CSV
    if _MARKDOWN.search(head) or headings(head):
        return MediaType.MARKDOWN
    return MediaType.PLAIN_TEXT


def delimiter_of(text: str) -> str:
    """What stands between the values of rows; empty when the text is no rows of values."""
    lines = text.splitlines()[:50]
    if len(text) >= _LOOK_CHARACTERS and len(lines) > 1:
        lines.pop()  # It may be cut off.
    best, most = "", 1
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
        except csv.Error:
            continue
        if len(rows) < 2 or len({len(row) for row in rows}) != 1 or not _are_names(rows[0]):
            continue
        columns = len(rows[0])
        # Two lines of prose may each have one comma.
        if columns > most and (columns > 2 or len(rows) > 2):
            best, most = delimiter, columns
    return best


def _are_names(row: Sequence[str]) -> bool:
    names = [name.strip() for name in row]
    return len(set(names)) == len(names) and all(0 < len(name) <= _NAME_CHARACTERS for name in names)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _has_control_characters(head: bytes) -> bool:
    return any(byte < 9 or 13 < byte < 27 for byte in head)
