"""Where the shared documents come from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A Markdown file of the sample corpus."""

    path: str
    """Where it stands in the corpus, with `/`: its name for ever."""
    text: str
    """What it says. Not blank."""


class Corpus(Protocol):
    """The sample corpus."""

    def files(self) -> AsyncIterator[CorpusFile]:
        """Every readable file of it, in the order of their paths. Files that cannot be taken are logged and left out."""
        ...
