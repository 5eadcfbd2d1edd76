"""The index's journal over documents and items: what is in the one table or the other is one to the index."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_item_store import SqlItemStore
from parley_retrieval.domain.chunks import Chunk
from parley_retrieval.domain.documents import Document
from parley_retrieval.domain.items import is_item_document_id


class SqlIndexJournal:
    """The port `IndexJournal`."""

    def __init__(self, documents: SqlDocumentStore, items: SqlItemStore) -> None:
        """Both on one database."""
        self._documents = documents
        self._items = items

    async def open_change(self, change_id: str, document_id: str) -> None:
        """See `IndexJournal`."""
        await self._documents.open_change(change_id, document_id)

    async def close_changes(self, change_ids: Sequence[str]) -> None:
        """See `IndexJournal`."""
        await self._documents.close_changes(change_ids)

    async def open_changes(self) -> dict[str, str]:
        """See `IndexJournal`."""
        return await self._documents.open_changes()

    async def document(self, document_id: str) -> Document | None:
        """See `IndexJournal`."""
        if is_item_document_id(document_id):
            return await self._items.document(document_id)
        return await self._documents.document(document_id)

    async def owned(self, owner_id: str) -> Sequence[Document]:
        """See `IndexJournal`. No items."""
        return await self._documents.owned(owner_id)

    async def chunks(self, document_id: str) -> Sequence[Chunk]:
        """See `IndexJournal`."""
        if is_item_document_id(document_id):
            return await self._items.chunks(document_id)
        return await self._documents.chunks(document_id)

    async def chunk_documents(self) -> dict[UUID, str]:
        """See `IndexJournal`."""
        return await self._documents.chunk_documents() | await self._items.chunk_documents()

    async def chunk_documents_of(self, owner_id: str) -> dict[UUID, str]:
        """See `IndexJournal`."""
        return await self._documents.chunk_documents_of(owner_id) | await self._items.chunk_documents(owner_id)
