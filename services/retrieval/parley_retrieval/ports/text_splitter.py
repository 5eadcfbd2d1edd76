"""Cuts texts where they can be cut best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_retrieval.domain.documents import MediaType


class TextSplitter(Protocol):
    """Cuts by paragraphs, sentences, words, in this order of preference. Safe to call from several threads."""

    def __call__(self, text: str, media_type: MediaType, /) -> Sequence[tuple[int, int]]:
        """Start and end of each piece: in order, without overlap, at most `CHUNK_CHARACTERS` characters each."""
        ...
