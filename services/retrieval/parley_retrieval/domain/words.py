"""The words of a text, as a search compares them: folded to one case and one form, not yet stemmed.

Scripts that put no space between words give overlapping pairs of characters instead. A name such as `StreamReply` gives
itself and its parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise


def _combining_marks() -> str:
    """The combining marks as ranges of a character class: `\\w` leaves them out, and many scripts spell with them."""
    ranges: list[list[int]] = []
    for code in range(0x300, 0x12000):
        if unicodedata.category(chr(code)) in {"Mn", "Mc"}:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_combining_marks()}])*(?:['’][^\W_]+)*")
# Thai, Lao, Myanmar, Khmer, kana, the Han ideographs, Hangul.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+)"
)
_HUMP = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]{2}")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST_WORD = 64
"""What is longer is data, not a word: it is cut, so that a hash or a blob costs one short term."""


def words(text: str) -> Iterator[str]:
    """The words of a text in their order, repeated as they repeat."""
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        word = match[0]
        if word.isascii() or not _UNSPACED.search(word):
            yield from _spaced(word)
        else:
            for run in _UNSPACED.split(word):
                if _UNSPACED.match(run):
                    yield from _pairs(run)
                elif run:
                    yield from _spaced(run)


def _spaced(word: str) -> Iterator[str]:
    yield word.casefold().replace("’", "'")[:_LONGEST_WORD]
    if not word.islower() and _HUMP.search(word):
        parts = [part for part in _PART.findall(word) if len(part) > 1]
        if len(parts) > 1:
            yield from (part.casefold()[:_LONGEST_WORD] for part in parts)


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for first, second in pairwise(run):
        yield first + second


def word_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """The words of a text with their places in it: start, end, and the word as `words()` gives it.

    A name with parts is told once for itself and once for each part, all at the place of the name. Places are those of the text as it
    stands, so that words which only its folded form has are not told.
    """
    for match in _WORD.finditer(text):
        start, end = match.span()
        if match[0].isascii():
            # Has its folded form already, which is most of what there is to do.
            yield from ((start, end, word) for word in _spaced(match[0]))
            continue
        if not _UNSPACED.search(match[0]):
            yield from ((start, end, word) for word in words(match[0]))
            continue
        for run in _UNSPACED.finditer(match[0]):
            for place in range(max(1, len(run[0]) - 1)):
                first = start + run.start() + place
                last = min(first + 2, start + run.end())
                yield from ((first, last, word) for word in words(text[first:last]))
        position = 0
        for part in _UNSPACED.split(match[0]):
            if part and not _UNSPACED.match(part):
                first = start + position
                yield from ((first, first + len(part), word) for word in words(part))
            position += len(part)
