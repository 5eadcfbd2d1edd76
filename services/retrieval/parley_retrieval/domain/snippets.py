"""The part of a passage that fits a query best, and where the words of the query stand in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from parley_retrieval.domain.words import word_spans

SNIPPET_CHARACTERS = 300
"""The longest snippet."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n+")
_BREAKS = " \t\n"
_WORD_SEARCH = 40
"""How far a cut is moved to stand between two words."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a passage, exactly as it stands there."""

    text: str
    """At most `SNIPPET_CHARACTERS`."""
    highlights: tuple[tuple[int, int], ...]
    """Start and end of each word of the query in it: in order, without overlap."""


def snippet_of(text: str, is_wanted: Callable[[str], bool]) -> Snippet:
    """The sentence with the most different words that are wanted, and what of its neighbours there is room for.

    `is_wanted` is asked about words as `words()` gives them. The beginning of the text when none is.
    """
    matches = sorted((start, end, word) for start, end, word in word_spans(text) if is_wanted(word))
    start, end = _best(_sentences(text), matches)
    if end - start > SNIPPET_CHARACTERS:
        start, end = _window(text, start, end, matches)
    else:
        start, end = _widened(text, start, end)
    start, end = _stripped(text, start, end)
    return Snippet(text[start:end], _highlights(matches, start, end))


def _sentences(text: str) -> list[tuple[int, int]]:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    bounds = [0, *ends, len(text)]
    spans = [(start, end) for start, end in pairwise(bounds) if text[start:end].strip()]
    return spans or [(0, len(text))]


def _best(sentences: Sequence[tuple[int, int]], matches: Sequence[tuple[int, int, str]]) -> tuple[int, int]:
    def worth(sentence: tuple[int, int]) -> tuple[int, int]:
        inside = [word for start, end, word in matches if sentence[0] <= start and end <= sentence[1]]
        return len(set(inside)), len(inside)

    # Of equals the first: max() keeps it.
    return max(sentences, key=worth)


def _window(text: str, start: int, end: int, matches: Sequence[tuple[int, int, str]]) -> tuple[int, int]:
    """The part of a long sentence with the most different words."""
    inside = [match for match in matches if start <= match[0] and match[1] <= end]
    best, most = start, -1
    for place, (first, _, _) in enumerate(inside):
        words = {word for _, last, word in inside[place:] if last - first <= SNIPPET_CHARACTERS}
        if len(words) > most:
            best, most = first, len(words)
    # Some words before the first one tell what it is about, as long as those that follow still fit.
    last = max((match[1] for match in inside if match[1] - best <= SNIPPET_CHARACTERS), default=best)
    lead = min(best - start, (SNIPPET_CHARACTERS - (last - best)) // 2)
    begin = _word_start(text, best - lead, best)
    finish = min(end, begin + SNIPPET_CHARACTERS)
    return begin, _word_end(text, finish, max(last, finish - _WORD_SEARCH)) if finish < end else finish


def _word_start(text: str, place: int, most: int) -> int:
    if place == 0 or text[place - 1] in _BREAKS:
        return place
    for later in range(place, min(most, place + _WORD_SEARCH)):
        if text[later] in _BREAKS:
            return later + 1
    return place


def _word_end(text: str, place: int, least: int) -> int:
    if text[place] in _BREAKS:
        return place
    for earlier in range(place, least, -1):
        if text[earlier - 1] in _BREAKS:
            return earlier - 1
    return place


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence with whole neighbours, first those that follow."""
    sentences = _sentences(text)
    for _, other_end in sentences:
        if other_end > end and _length(text, start, other_end) <= SNIPPET_CHARACTERS:
            end = other_end
    for other_start, _ in reversed(sentences):
        if other_start < start and _length(text, other_start, end) <= SNIPPET_CHARACTERS:
            start = other_start
    return start, end


def _length(text: str, start: int, end: int) -> int:
    return len(text[start:end].strip())


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    start, end = start + left, start + left + len(piece.strip())
    return start, min(end, start + SNIPPET_CHARACTERS)


def _highlights(matches: Sequence[tuple[int, int, str]], start: int, end: int) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for first, last, _ in matches:
        if first < start or last > end:
            continue
        if spans and first - start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], last - start))
        else:
            spans.append((first - start, last - start))
    return tuple(spans)
