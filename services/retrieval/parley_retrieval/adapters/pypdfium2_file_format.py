"""`FileFormat` of PDF with pypdfium2: the text of each page, and the outline as headings. Not what is written in pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # It comes without types.
from pypdfium2 import raw

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.domain.outline import HEADING_CHARACTERS, LEVELS, OUTLINE_HEADINGS, Heading
from parley_retrieval.ports.file_format import Say, too_long

_BETWEEN_PAGES = "\n\n"
_SEARCHED_CHARACTERS = 20_000
"""So much of a page is searched for the words of a bookmark: more than a page has that anybody reads."""
_SOFT_HYPHENS = dict.fromkeys(map(ord, "\ufffe\x02\xad"))


def read_pdf(file: Path, longest: int, say: Say) -> FileText:
    """See `FileFormat`."""
    try:
        document = pdfium.PdfDocument(file)
    except pdfium.PdfiumError as error:
        if error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            words = "The PDF is locked with a password. Save it without one, and try again."
            raise FileUnreadableError(FailureReason.ENCRYPTED, words) from error
        words = "The PDF is damaged or cut off."
        raise FileUnreadableError(FailureReason.BROKEN, words) from error
    try:
        pages = len(document)
        title = document.get_metadata_dict(skip_empty=True).get("Title", "")
        texts: list[str] = []
        starts: list[int] = []
        length = 0
        for number in range(pages):
            text = _page(document, number)
            starts.append(length)
            texts.append(text)
            length += len(text) + len(_BETWEEN_PAGES)
            if length > longest:
                raise too_long(longest)
            say(number + 1, pages, "pages")
        outline = _outline(document, texts, starts)
    finally:
        document.close()
    whole = _BETWEEN_PAGES.join(texts)
    if not whole.strip():
        words = "The PDF holds no text: its pages are empty, or pictures of text."
        raise FileUnreadableError(FailureReason.NO_TEXT, words)
    return FileText(MediaType.PDF, title, whole, tuple(min(start, len(whole)) for start in starts), outline)


def _outline(document: pdfium.PdfDocument, texts: Sequence[str], starts: Sequence[int]) -> tuple[Heading, ...]:
    """The bookmarks as headings, each where its words begin a line of its page; else at the top of the page."""
    found: list[Heading] = []
    for level, title, number in _bookmarks(document):
        # Some outlines repeat the number of a chapter and some leave it out.
        words = r"\s+".join(map(re.escape, title.split()))
        asked = rf"^[^\S\n]*(?:[\w.]{{1,10}}[^\S\n]+)?{words}"
        line = re.search(asked, texts[number][:_SEARCHED_CHARACTERS], re.IGNORECASE | re.MULTILINE)
        start, end = line.span() if line else (0, 0)
        found.append(Heading(level, title, starts[number] + start, starts[number] + end))
    kept: list[Heading] = []
    for heading in sorted(found, key=lambda one: one.start):
        # Of several at one place the first is true of what follows: where the others begin is not known.
        if not kept or (heading.start > kept[-1].start and heading.start >= kept[-1].end):
            kept.append(heading)
    return tuple(kept)


def _bookmarks(document: pdfium.PdfDocument) -> Iterator[tuple[int, str, int]]:
    """Level, title and page of each bookmark that has them. An outline that leads back to itself ends there."""
    for bookmark in islice(document.get_toc(max_depth=LEVELS), OUTLINE_HEADINGS):
        try:
            said: str = bookmark.get_title()
        except UnicodeError:
            # Half a character costs a bookmark, and not the file.
            continue
        title = " ".join(said.translate(_SOFT_HYPHENS).split())[:HEADING_CHARACTERS].rstrip()
        target = bookmark.get_dest()
        number = None if target is None else target.get_index()
        if title and number is not None and number < len(document):
            yield bookmark.level + 1, title, number


def _page(document: pdfium.PdfDocument, number: int) -> str:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            text: str = text_page.get_text_range()
        finally:
            text_page.close()
    finally:
        page.close()
    return text.translate(_SOFT_HYPHENS).replace("\r\n", "\n").replace("\r", "\n").strip()
