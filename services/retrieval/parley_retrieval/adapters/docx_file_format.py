"""`FileFormat` of Word files with python-docx: headings, paragraphs, lists and tables in their order, as Markdown."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
from docx.document import Document
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.ports.file_format import Say, joined

_UNPACKED_BYTES = 300_000_000
_RATIO = 200
_RATIO_COUNTS_FROM = 20_000_000
_ENTRIES = 20_000
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_TABLES_IN_TABLES = 8
_SAID_EVERY = 200


def read_docx(file: Path, longest: int, say: Say) -> FileText:
    """See `FileFormat`."""
    _check(file)
    document = docx.Document(str(file))
    text = joined(_blocks(document, say), longest).strip()
    if not text:
        raise FileUnreadableError(FailureReason.NO_TEXT, "The Word file holds no text.")
    return FileText(MediaType.DOCX, _title(document), text)


def _check(file: Path) -> None:
    """Looks at what the archive says of itself, before anything of it is unpacked."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if "word/document.xml" not in names:
        what = "a ZIP archive"
        if any(name.startswith("xl/") for name in names):
            what = "an Excel file; save its sheets as CSV"
        elif any(name.startswith("ppt/") for name in names):
            what = "a PowerPoint file; save it as PDF"
        elif "mimetype" in names:
            what = "an OpenDocument file or a book; save it as .docx or PDF"
        raise FileUnreadableError(FailureReason.UNSUPPORTED, f"The file is {what}.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise FileUnreadableError(FailureReason.ENCRYPTED, "The Word file is locked with a password.")
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    too_dense = unpacked > _RATIO_COUNTS_FROM and unpacked / packed > _RATIO
    if len(entries) > _ENTRIES or unpacked > _UNPACKED_BYTES or too_dense:
        words = f"The Word file unpacks to {unpacked:,} bytes, which is more than is read."
        raise FileUnreadableError(FailureReason.TOO_LARGE, words)


def _blocks(document: Document, say: Say) -> Iterator[str]:
    characters = 0
    for place, block in enumerate(document.iter_inner_content()):
        text = _table(block, 0) if isinstance(block, Table) else _paragraph(block)
        if not text:
            continue
        characters += len(text)
        if place % _SAID_EVERY == 0:
            say(characters, 0, "characters")
        yield f"{text}\n\n"
    say(characters, characters, "characters")


def _paragraph(paragraph: Paragraph) -> str:
    text = paragraph.text.strip()
    if not text:
        return ""
    style = (paragraph.style.name or "") if paragraph.style is not None else ""
    if style == "Title":
        return f"# {_one_line(text)}"
    if heading := _HEADING.match(style):
        return f"{'#' * min(6, max(1, int(heading[1])))} {_one_line(text)}"
    if style.startswith("List"):
        return f"- {text}"
    return text


def _table(table: Table, depth: int) -> str:
    rows: list[str] = []
    for row in table.rows:
        # A cell that spans columns comes once for each of them.
        cells = list(dict.fromkeys(row.cells))
        values = [_one_line(_cell(cell, depth)) for cell in cells]
        if any(values):
            rows.append(f"| {' | '.join(values)} |")
            if len(rows) == 1:
                rows.append(f"|{' --- |' * len(values)}")
    return "\n".join(rows)


def _cell(cell: _Cell, depth: int) -> str:
    if depth >= _TABLES_IN_TABLES:
        return cell.text
    blocks = (
        _table(block, depth + 1).replace("|", "/") if isinstance(block, Table) else block.text.strip()
        for block in cell.iter_inner_content()
    )
    return " ".join(block for block in blocks if block)


def _title(document: Document) -> str:
    """What the file calls itself: a paragraph that is its title, else what its properties say, else its first heading."""
    paragraphs = document.paragraphs[:50]
    for paragraph in paragraphs:
        if paragraph.style is not None and paragraph.style.name == "Title" and paragraph.text.strip():
            return _one_line(paragraph.text)
    if said := _one_line(document.core_properties.title or ""):
        return said
    for paragraph in paragraphs:
        if paragraph.style is not None and _HEADING.match(paragraph.style.name or "") and paragraph.text.strip():
            return _one_line(paragraph.text)
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
