"""`TextSplitter` with the package of the same name: whole blocks, paragraphs, sentences where they fit."""

from __future__ import annotations

from collections.abc import Iterator

from semantic_text_splitter import MarkdownSplitter
from semantic_text_splitter import TextSplitter as PlainSplitter

from parley_retrieval.domain.chunks import CHUNK_CHARACTERS
from parley_retrieval.domain.documents import MediaType

_WINDOW_CHARACTERS = 10_000
"""The library takes the square of the length of what has no good place to cut, minutes for a megabyte of it. So it is given
long texts by the piece: this many characters cost it hundredths of a second at worst."""
_PLACES = ("\n\n", "\n", ". ", "。", " ")
"""Where a window may end, the best place first."""


class SemanticTextSplitter:
    """Cuts texts. Offsets are in characters, not bytes."""

    def __init__(self) -> None:
        """Makes both splitters once; they keep no state between texts."""
        self._markdown = MarkdownSplitter(CHUNK_CHARACTERS)
        self._plain = PlainSplitter(CHUNK_CHARACTERS)

    def __call__(self, text: str, media_type: MediaType, /) -> list[tuple[int, int]]:
        """See `TextSplitter`."""
        splitter = self._markdown if media_type is MediaType.MARKDOWN else self._plain
        return [
            (window_start + start, window_start + start + len(piece))
            for window_start, window in _windows(text)
            for start, piece in splitter.chunk_indices(window)
        ]


def _windows(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while len(text) - start > _WINDOW_CHARACTERS:
        most = start + _WINDOW_CHARACTERS
        ends = (text.rfind(place, start + _WINDOW_CHARACTERS // 2, most) + len(place) for place in _PLACES)
        end = next((end for end in ends if end > start + _WINDOW_CHARACTERS // 2), most)
        yield start, text[start:end]
        start = end
    yield start, text[start:]
