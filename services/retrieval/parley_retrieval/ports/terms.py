"""What turns words into the terms of an index."""

from __future__ import annotations

from typing import Protocol


class Stemmer(Protocol):
    """Brings the forms of a word together. Safe to call from several threads."""

    @property
    def language(self) -> str:
        """The language that it knows, in English and small letters: `english`."""
        ...

    def __call__(self, word: str, /) -> str:
        """The stem of a word in small letters."""
        ...


class TermHash(Protocol):
    """Numbers terms."""

    def __call__(self, term: str, /) -> int:
        """The same number for the same term, always: 0 to 2**32 - 1."""
        ...
