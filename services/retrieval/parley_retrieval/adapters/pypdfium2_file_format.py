"""`FileFormat` of PDF with pypdfium2: the text of each page. Not what is written in pictures."""

from __future__ import annotations

from pathlib import Path

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # It comes without types.
from pypdfium2 import raw

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.ports.file_format import Say, too_long

_BETWEEN_PAGES = "\n\n"
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
    finally:
        document.close()
    whole = _BETWEEN_PAGES.join(texts)
    if not whole.strip():
        words = "The PDF holds no text: its pages are empty, or pictures of text."
        raise FileUnreadableError(FailureReason.NO_TEXT, words)
    return FileText(MediaType.PDF, title, whole, tuple(min(start, len(whole)) for start in starts))


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
