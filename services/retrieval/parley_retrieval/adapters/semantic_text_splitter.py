"""`TextSplitter` with the package of the same name: whole blocks, paragraphs, sentences where they fit."""

from __future__ import annotations

from semantic_text_splitter import MarkdownSplitter
from semantic_text_splitter import TextSplitter as PlainSplitter

from parley_retrieval.domain.chunks import CHUNK_CHARACTERS
from parley_retrieval.domain.documents import MediaType


class SemanticTextSplitter:
    """Cuts texts. Offsets are in characters, not bytes."""

    def __init__(self) -> None:
        """Makes both splitters once; they keep no state between texts."""
        self._markdown = MarkdownSplitter(CHUNK_CHARACTERS)
        self._plain = PlainSplitter(CHUNK_CHARACTERS)

    def __call__(self, text: str, media_type: MediaType, /) -> list[tuple[int, int]]:
        """See `TextSplitter`."""
        splitter = self._markdown if media_type is MediaType.MARKDOWN else self._plain
        return [(start, start + len(piece)) for start, piece in splitter.chunk_indices(text)]
