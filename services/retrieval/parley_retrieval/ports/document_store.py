"""The database of documents and their chunks: the truth that the index follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from parley_retrieval.domain.chunks import Chunk, Passage
from parley_retrieval.domain.documents import Document, DocumentVersion
from parley_retrieval.domain.jobs import JobClaim
from parley_retrieval.domain.visibility import Visibility


@dataclass(frozen=True, slots=True)
class DocumentCursor:
    """The last document of a page; the next page starts after it."""

    update_time: datetime
    """Its time, UTC."""
    document_id: str
    """Its id, which decides between equal times."""


class DocumentStore(Protocol):
    """Keeps documents. A document and its chunks change together or not at all."""

    async def find(self, visibility: Visibility, document_id: str) -> Document | None:
        """The document with its text, if it can be seen."""
        ...

    async def find_version(self, visibility: Visibility, document_id: str, version: int) -> Document | None:
        """The document with its text as it was in an older version, or is in the newest, if it can be seen and that is kept.

        What a version does not have of its own is as it is now; it has no chunks.
        """
        ...

    async def versions(self, visibility: Visibility, document_id: str) -> Sequence[DocumentVersion]:
        """The versions that are kept of a document, newest first; none when it cannot be seen."""
        ...

    async def find_like(self, owner_id: str, likeness: str) -> Document | None:
        """The owner's document of this likeness, without its text."""
        ...

    async def page(
        self, visibility: Visibility, project: str, after: DocumentCursor | None, limit: int
    ) -> Sequence[Document]:
        """Documents without texts, last changed first, at most `limit`; of every project when `project` is empty."""
        ...

    async def count(self, owner_id: str) -> int:
        """How many documents the owner has."""
        ...

    async def passages(self, visibility: Visibility, chunk_ids: Sequence[UUID]) -> Sequence[Passage]:
        """Those of the chunks that exist and can be seen, in any order."""
        ...

    async def put(
        self, document: Document, chunks: Sequence[Chunk], claim: JobClaim | None = None, *, keep_versions: bool = True
    ) -> None:
        """Writes a document with its text and chunks, in place of what there is under its id.

        What was there is kept when the new one has a higher version, with the newest `OLDER_VERSIONS`; without `keep_versions` no older
        version is kept.

        With a `claim`, the job that makes the document has the stage INDEXED behind it in the same moment. Raises DocumentExistsError when
        its owner has another one like it, and JobLostError when the claim is lost; nothing is written then.
        """
        ...

    async def remove(self, document_id: str) -> None:
        """Deletes a document, its older versions and its chunks. One that is not there is no error."""
        ...


class IndexJournal(Protocol):
    """What the index may not have yet, and what it should have: for the service itself, never for a user's call.

    A change is opened before the index is touched and closed when the index has flushed it, so that what is open at
    a start is what has to be looked after.
    """

    async def open_change(self, change_id: str, document_id: str) -> None:
        """Notes that the index is about to change for a document."""
        ...

    async def close_changes(self, change_ids: Sequence[str]) -> None:
        """Forgets changes that the index holds for good."""
        ...

    async def open_changes(self) -> dict[str, str]:
        """The open changes: document id by change id."""
        ...

    async def document(self, document_id: str) -> Document | None:
        """A document of any owner, with its text."""
        ...

    async def owned(self, owner_id: str) -> Sequence[Document]:
        """All documents of an owner, without texts."""
        ...

    async def chunks(self, document_id: str) -> Sequence[Chunk]:
        """A document's chunks by number."""
        ...

    async def chunk_documents(self) -> dict[UUID, str]:
        """Every chunk there is: document id by chunk id."""
        ...

    async def chunk_documents_of(self, owner_id: str) -> dict[UUID, str]:
        """Every chunk of a user's documents and items: document id by chunk id."""
        ...
