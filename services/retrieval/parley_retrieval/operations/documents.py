"""What a user does with documents: create, read, list, change, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from weakref import WeakValueDictionary

from parley_retrieval.domain.documents import (
    Document,
    DocumentVersion,
    MediaType,
    likeness,
    new_document_id,
    sha256,
    title_of,
)
from parley_retrieval.domain.errors import (
    DocumentExistsError,
    DocumentNotFoundError,
    DocumentSharedError,
    TooManyBytesError,
    TooManyDocumentsError,
)
from parley_retrieval.domain.jobs import UserLimits
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.begun_writes import BegunWrites
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.ingestion import Ingestion
from parley_retrieval.ports.document_store import DocumentCursor, DocumentStore


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """A document as its owner hands it in."""

    title: str
    """What to call it; blank to take it from the text."""
    text: str
    """The text. Not blank."""
    media_type: MediaType
    """How the text is written."""
    project: str
    """The label of its project; may be empty."""
    source_uri: str
    """Where it came from; may be empty."""


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """What becomes of a document: None leaves a thing as it is."""

    title: str | None = None
    """The new title. Not blank."""
    text: str | None = None
    """The new text. Not blank."""
    project: str | None = None
    """The new project; may be empty."""
    source_uri: str | None = None
    """The new source; may be empty."""


class Documents:
    """The use cases. A write that was begun is finished, also when its caller has gone."""

    def __init__(self, store: DocumentStore, indexing: Indexing, ingestion: Ingestion, *, limits: UserLimits) -> None:
        """`ingestion` has the files that documents are made of; `limits` are those of each user."""
        self._store = store
        self._indexing = indexing
        self._ingestion = ingestion
        self._limits = limits
        self._writes = BegunWrites()
        # One writer per user, so that what was read before a change still holds when it is made: the text, the count.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, user_id: str, draft: DocumentDraft) -> tuple[Document, bool]:
        """Stores a document, or finds the user's document of this title and text. The flag says whether it is new.

        Raises TooManyDocumentsError, TooManyBytesError.
        """
        return await self._writes.finish(self._create(user_id, draft))

    async def get(self, user_id: str, document_id: str, version: int = 0) -> Document:
        """A document with its text, as it is when `version` is 0. Raises DocumentNotFoundError, also for a version that is not kept."""
        visibility = Visibility(user_id)
        if version:
            document = await self._store.find_version(visibility, document_id, version)
        else:
            document = await self._store.find(visibility, document_id)
        if document is None:
            raise DocumentNotFoundError(document_id)
        return document

    async def versions(self, user_id: str, document_id: str) -> Sequence[DocumentVersion]:
        """The versions of a document that can be read, newest first. Raises DocumentNotFoundError."""
        versions = await self._store.versions(Visibility(user_id), document_id)
        if not versions:
            raise DocumentNotFoundError(document_id)
        return versions

    async def page(
        self, visibility: Visibility, project: str, after: DocumentCursor | None, size: int
    ) -> tuple[Sequence[Document], DocumentCursor | None]:
        """Documents without texts, last changed first, and the cursor of the next page if there is one."""
        documents = await self._store.page(visibility, project, after, size + 1)
        if len(documents) <= size:
            return documents, None
        last = documents[size - 1]
        return documents[:size], DocumentCursor(last.update_time, last.document_id)

    async def update(self, user_id: str, document_id: str, change: DocumentChange) -> Document:
        """Changes a document and returns it. Nothing happens when it is so already. Without room for older versions it keeps none.

        Raises DocumentNotFoundError, DocumentSharedError, DocumentExistsError, TooManyBytesError.
        """
        return await self._writes.finish(self._update(user_id, document_id, change))

    async def delete(self, user_id: str, document_id: str) -> None:
        """Deletes a document for good, with its older versions and its file; a job that still makes it is cancelled.

        Raises DocumentNotFoundError, DocumentSharedError.
        """
        await self._writes.finish(self._delete(user_id, document_id))

    async def settle(self) -> None:
        """Returns when no write is under way."""
        await self._writes.settle()

    async def _create(self, user_id: str, draft: DocumentDraft) -> tuple[Document, bool]:
        content_sha256 = await asyncio.to_thread(sha256, draft.text)
        title = draft.title if draft.title.strip() else title_of(draft.text, draft.media_type)
        same = likeness(user_id, title, content_sha256, draft.source_uri)
        now = datetime.now(UTC)
        async with self._lock(user_id):
            if existing := await self._store.find_like(user_id, same):
                return existing, False
            size_bytes = len(draft.text.encode())
            usage = await self._ingestion.usage(user_id)
            if usage.documents >= self._limits.documents:
                raise TooManyDocumentsError(self._limits.documents)
            if usage.bytes + size_bytes > self._limits.bytes:
                raise TooManyBytesError(self._limits.bytes)
            document = Document(
                document_id=new_document_id(),
                owner_id=user_id,
                title=title,
                text=draft.text,
                media_type=draft.media_type,
                project=draft.project,
                source_uri=draft.source_uri,
                content_sha256=content_sha256,
                size_bytes=size_bytes,
                chunk_count=0,
                create_time=now,
                update_time=now,
            )
            try:
                return await self._indexing.put(document), True
            except DocumentExistsError:
                # Another process was faster.
                existing = await self._store.find_like(user_id, same)
                if existing is None:
                    raise
                return existing, False

    async def _update(self, user_id: str, document_id: str, change: DocumentChange) -> Document:
        async with self._lock(user_id):
            before = await self._own(user_id, document_id)
            keep_versions = True
            after = replace(
                before,
                title=before.title if change.title is None else change.title,
                project=before.project if change.project is None else change.project,
                source_uri=before.source_uri if change.source_uri is None else change.source_uri,
            )
            if change.text is not None:
                content_sha256 = await asyncio.to_thread(sha256, change.text)
                size_bytes = len(change.text.encode())
                after = replace(after, text=change.text, content_sha256=content_sha256, size_bytes=size_bytes)
                if content_sha256 != before.content_sha256:
                    # The pages and the outline of a file are those of the text that was read from it.
                    after = replace(after, version=before.version + 1, page_starts=(), outline=())
                    keep_versions = await self._has_room(user_id, before, after)
            if after == before:
                return before
            # Later than before also when the clock was set back, so that lists keep their order.
            now = max(datetime.now(UTC), before.update_time + timedelta(microseconds=1))
            after = replace(after, update_time=now)
            chunks = await self._indexing.cut(after)
            write = partial(self._store.put, keep_versions=keep_versions)
            return await self._indexing.put_chunks(after, chunks, write=write)

    async def _has_room(self, user_id: str, before: Document, after: Document) -> bool:
        """Whether there is room for what a document was besides what it becomes. Raises TooManyBytesError when there is none for that."""
        used = (await self._ingestion.usage(user_id)).bytes
        # The text of a document that has a file is not counted: the file is.
        if used + (before.size_bytes if before.file_sha256 else after.size_bytes) <= self._limits.bytes:
            return True
        older = await self._store.versions(Visibility(user_id), before.document_id)
        freed = sum(version.size_bytes for version in older if version.version < before.version)
        more = 0 if before.file_sha256 else after.size_bytes - before.size_bytes
        if more > 0 and used - freed + more > self._limits.bytes:
            raise TooManyBytesError(self._limits.bytes)
        return False

    async def _delete(self, user_id: str, document_id: str) -> None:
        async with self._lock(user_id):
            # First the file: a document that another attempt at its job could make again is not deleted.
            if await self._ingestion.forget(user_id, document_id) and await self._is_gone(user_id, document_id):
                return
            await self._own(user_id, document_id)
            await self._indexing.remove(document_id)

    async def _is_gone(self, user_id: str, document_id: str) -> bool:
        return await self._store.find(Visibility(user_id, include_shared=False), document_id) is None

    async def _own(self, user_id: str, document_id: str) -> Document:
        document = await self.get(user_id, document_id)
        if document.shared:
            raise DocumentSharedError(document_id)
        return document

    def _lock(self, user_id: str) -> asyncio.Lock:
        return self._locks.setdefault(user_id, asyncio.Lock())
