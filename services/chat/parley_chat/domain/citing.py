"""Which sources an answer cites, and whether what it quotes from them stands in them. Compares words; understands nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from parley_chat.domain.conversation import Citation, Quote

_MARK = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_MARKS = re.compile(r"(?:\[\d{1,3}(?:\s*,\s*\d{1,3})*\]\s?)+")
_PARAGRAPH = re.compile(r"(?:(?!\n[ \t]*\n).)+", re.DOTALL)
_QUOTED = re.compile(r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|\"([^\"]+)\"")
_BLOCK_QUOTE_LINE = re.compile(r"^[ \t]*>", re.MULTILINE)
_SENTENCE = re.compile(r"\S.*?(?:[.!?…](?=\s|$)|(?=\n)|$)", re.DOTALL)
_LEAST_WORDS_IN_QUOTATION_MARKS = 2
"""One word in quotation marks is a name or an emphasis."""
_LEAST_WORDS_OF_A_SENTENCE = 5
_MOST_QUOTES = 200
"""Of one answer: more are not looked at."""

_WORDS = re.compile(r"\w+")
_TYPOGRAPHY = str.maketrans(
    {
        "’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-", "−": "-", "…": "...",
        "*": None, "_": None, "`": None, ">": None, "#": None, "|": None, "\\": None,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Claim:
    """The text that some marks stand behind."""

    start: int
    end: int
    numbers: tuple[int, ...]


def cited(text: str, sources: Sequence[Citation]) -> tuple[Citation, ...]:
    """The sources that the text cites as `[1]` or `[1, 2]`, by number, with what it quotes from each. Marks of sources that were not given
    cite nothing."""
    numbers = {int(number) for mark in _MARK.findall(text) for number in mark.split(",")}
    named = {source.number: source for source in sources if source.number in numbers}
    if not named:
        return ()
    quotes: dict[int, list[Quote]] = {number: [] for number in named}
    passages = {number: normalized(source.text) for number, source in named.items()}
    left = _MOST_QUOTES
    for claim in _claims(text):
        for number, quote in _quotes(text, claim, passages):
            if left == 0:
                break
            quotes[number].append(quote)
            left -= 1
    return tuple(replace(source, quotes=tuple(quotes[number])) for number, source in named.items())


def normalized(text: str) -> str:
    """The words of a text as they are compared: without case, Markdown's signs, and differences of white space and typography."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).casefold().split())


def _claims(text: str) -> Iterator[_Claim]:
    """What each run of marks stands behind: the text of its paragraph since the marks before; a block quote alone above it counts too."""
    above: re.Match[str] | None = None
    for paragraph in _PARAGRAPH.finditer(text):
        start = paragraph.start()
        for marks in _MARKS.finditer(text, paragraph.start(), paragraph.end()):
            numbers = tuple(int(number) for mark in _MARK.findall(marks[0]) for number in mark.split(","))
            begin = start
            if not text[start : marks.start()].strip() and start == paragraph.start() and above is not None:
                begin = above.start()
            yield _Claim(begin, marks.start(), numbers)
            start = marks.end()
        above = paragraph if _BLOCK_QUOTE_LINE.match(paragraph[0].lstrip("\n")) else None


def _quotes(text: str, claim: _Claim, passages: Mapping[int, str]) -> Iterator[tuple[int, Quote]]:
    numbers = [number for number in claim.numbers if number in passages]
    spans = list(_marked_spans(text, claim))
    for start, end in spans:
        words = normalized(text[start:end])
        holders = [number for number in numbers if words in passages[number]]
        # Of several sources, those that hold the words; when none does, the first that is named.
        for number in holders or numbers[:1]:
            yield number, Quote(start, end - start, verified=bool(holders))
    if spans:
        return
    for start, end in _sentences(text, claim):
        words = normalized(text[start:end]).rstrip(".!?")
        if len(_WORDS.findall(words)) < _LEAST_WORDS_OF_A_SENTENCE:
            continue
        for number in numbers:
            if words in passages[number]:
                yield number, Quote(start, end - start, verified=True)


def _marked_spans(text: str, claim: _Claim) -> Iterator[tuple[int, int]]:
    """What stands in quotation marks, or is a block quote."""
    claimed = text[claim.start : claim.end]
    if _BLOCK_QUOTE_LINE.match(claimed.lstrip("\n")):
        start = claim.start + len(claimed) - len(claimed.lstrip())
        end = claim.start + len(claimed.rstrip())
        if len(_WORDS.findall(text[start:end])) >= _LEAST_WORDS_IN_QUOTATION_MARKS:
            yield start, end
        return
    for found in _QUOTED.finditer(text, claim.start, claim.end):
        group = next(number for number in range(1, 5) if found[number] is not None)
        if len(_WORDS.findall(found[group])) >= _LEAST_WORDS_IN_QUOTATION_MARKS:
            yield found.span(group)


def _sentences(text: str, claim: _Claim) -> Iterator[tuple[int, int]]:
    for sentence in _SENTENCE.finditer(text, claim.start, claim.end):
        start, end = sentence.span()
        bullet = re.match(r"(?:[-*+]|\d{1,3}[.)])\s+", sentence[0])
        yield start + (bullet.end() if bullet else 0), end
