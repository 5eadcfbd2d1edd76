"""What a document is."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from parley_retrieval.domain.outline import Heading, headings
from parley_retrieval.domain.visibility import SHARED_OWNER

TITLE_CHARACTERS = 300
"""The longest title."""
TEXT_CHARACTERS = 1_000_000
"""The longest text that is given as text, and what is shown of a longer one that was read from a file."""

OLDER_VERSIONS = 20
"""How many versions of a document are kept besides the newest."""

_SHARED_DOCUMENTS = uuid.UUID("8c1dd7f6-3b55-4c0e-9f0c-6f0d5b1f4a52")


class MediaType(Enum):
    """How a text is written, or what it was read from. The values stand in the database."""

    MARKDOWN = "markdown"
    PLAIN_TEXT = "plain_text"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"
    CSV = "csv"
    JSON = "json"

    @property
    def has_headings(self) -> bool:
        """Whether the document's text has headings as Markdown does: what is read from a page or a Word file is written so."""
        return self in {MediaType.MARKDOWN, MediaType.HTML, MediaType.DOCX}


@dataclass(frozen=True, slots=True)
class Document:
    """A text that can be searched and cited."""

    document_id: str
    """`doc_` and 32 hexadecimal digits."""
    owner_id: str
    """The user, or `SHARED_OWNER`."""
    title: str
    """1 to 300 characters."""
    text: str | None
    """None where only the facts were read."""
    media_type: MediaType
    """How the text is written."""
    project: str
    """The label of the project that it belongs to; may be empty."""
    source_uri: str
    """Where it came from, in its owner's words; may be empty. For shared documents the path within the corpus."""
    content_sha256: str
    """Of the text in UTF-8, 64 hexadecimal digits."""
    size_bytes: int
    """Length of the text in UTF-8."""
    chunk_count: int
    """Into how many chunks it is cut."""
    create_time: datetime
    """UTC."""
    update_time: datetime
    """When text, title, project or source last changed, UTC."""
    version: int = 1
    """From 1, one more with each change of the text."""
    filename: str = ""
    """The name of the file that it was read from; empty when it was given as text."""
    page_count: int = 0
    """How many pages that file has; 0 where there are none to count."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What its owner filters by: names to values."""
    file_sha256: str = ""
    """Of the file that it was read from, 64 hexadecimal digits; empty when it was given as text."""
    page_starts: tuple[int, ...] = ()
    """Where each page of the file starts in the text, in their order; empty where there are no pages."""
    outline: tuple[Heading, ...] = ()
    """The headings that the file has beside its text, by their places. Read with the text only."""

    @property
    def shared(self) -> bool:
        """Whether everybody can read it."""
        return self.owner_id == SHARED_OWNER

    @property
    def likeness(self) -> str:
        """What no two documents of an owner have in common: the file, or title and text, or the path of a shared document."""
        if self.file_sha256:
            return sha256(f"file {self.file_sha256}")
        return likeness(self.owner_id, self.title, self.content_sha256, self.source_uri)


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """What a document was, or is, in one version."""

    version: int
    """From 1."""
    title: str
    """What it was called in it, last."""
    content_sha256: str
    """Of its text in UTF-8, 64 hexadecimal digits."""
    size_bytes: int
    """Length of its text in UTF-8."""
    update_time: datetime
    """When the document last changed in it, UTC."""


def new_document_id() -> str:
    """An id for a user's document."""
    return f"doc_{uuid.uuid4().hex}"


def shared_document_id(path: str) -> str:
    """The id of the shared document at a path of the corpus: the same in every installation."""
    return f"doc_{uuid.uuid5(_SHARED_DOCUMENTS, path).hex}"


def sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def likeness(owner_id: str, title: str, content_sha256: str, source_uri: str) -> str:
    """The digest behind `Document.likeness`, 64 hexadecimal digits."""
    return sha256(source_uri if owner_id == SHARED_OWNER else f"{content_sha256}\n{title}")


def title_of(text: str, media_type: MediaType) -> str:
    """What to call a text that came without a title: its first heading, else its first line that is not blank.

    The text must not be blank. 1 to 300 characters.
    """
    if media_type.has_headings:
        for heading in headings(text):
            if heading.title:
                return heading.title[:TITLE_CHARACTERS].rstrip()
    first_line = text.strip().splitlines()[0]
    return " ".join(first_line[: 4 * TITLE_CHARACTERS].split())[:TITLE_CHARACTERS].rstrip()
