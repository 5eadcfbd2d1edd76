"""Bytes to text: by their byte order mark, by what they declare, as UTF-8, and by guessing with charset-normalizer only then."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from parley_retrieval.domain.files import FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_XML_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_UTF8_LETTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_SAMPLE_BYTES = 200_000
_WESTERN = frozenset(
    "äöüÄÖÜßéèêëàâáåãæçíìîïñóòôõøœúùûýÉÈÊËÀÂÁÅÃÆÇÍÌÎÏÑÓÒÔÕØŒÚÙÛÝ€£§©®°±²³µ·¼½¾¿¡«»–—‘’‚“”„…•†‡‰‹›™ªº´¨¸ \xa0\xad"
)
_LATIN = re.compile(r"cp125[0-9]|latin_?1|iso8859_\d+|mac_\w+|cp(?:437|775|85\d|86\d)|hp_roman8", re.IGNORECASE)


def decode(data: bytes) -> str:
    """The text. Raises FileUnreadableError when the bytes are none, or in no encoding that is known."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _as(data, encoding) or _give_up()
    if declared := (_DECLARED.search(data[:4096]) or _XML_DECLARED.search(data[:4096])):
        text = _as(data, declared[1].decode("ascii"))
        if text is not None:
            return text
    text = _as(data, "utf-8")
    if text is not None:
        return text
    if b"\0" in data[:_SAMPLE_BYTES]:
        words = "The file is of a kind that is not read: PDF, Word (.docx), HTML, Markdown, text, CSV and JSON are."
        raise FileUnreadableError(FailureReason.UNSUPPORTED, words)
    if _UTF8_LETTER.search(data):
        # UTF-8 that is damaged: any other reading of it would be nonsense.
        return _give_up()
    return _guess(data)


def _guess(data: bytes) -> str:
    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    if best is None:
        return _give_up()
    western = _as(data, "cp1252")
    if (
        western is not None
        and _LATIN.fullmatch(best.encoding)
        and all(character in _WESTERN for character in set(western) if ord(character) > 127)
    ):
        # Between its sisters the guess is a throw of dice; this one is by far the most common.
        return western
    return _as(data, best.encoding) or _give_up()


def _as(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _give_up() -> str:
    words = "The text of the file is in no encoding that is known. Save it as UTF-8."
    raise FileUnreadableError(FailureReason.ENCODING, words)
