"""What is read out of a file, and why nothing could be."""

from __future__ import annotations

from dataclasses import dataclass

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.domain.outline import Heading


@dataclass(frozen=True, slots=True)
class FileText:
    """The text of a file."""

    media_type: MediaType
    """What the file is, by its content."""
    title: str
    """What the file calls itself; may be empty."""
    text: str
    """Never blank, without U+0000. Of HTML and Word files it is Markdown, so that headings and tables are seen in it."""
    page_starts: tuple[int, ...] = ()
    """Where each page starts in the text; empty where there are no pages."""
    outline: tuple[Heading, ...] = ()
    """The headings that the file has beside its text, by their places; empty where there are none, or where they stand in the text."""


class FileUnreadableError(Exception):
    """A file has no text for us, and will have none later. The words are for a person."""

    def __init__(self, reason: FailureReason, words: str) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words
