"""What other services do with the items that they own: put, delete, list. Not how they are found, which is `search.py`'s."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from parley_retrieval.domain.chunks import Chunk, meaning_text
from parley_retrieval.domain.documents import Document
from parley_retrieval.domain.errors import EmbeddingRefusedError, EmbeddingUnavailableError, ItemOutdatedError
from parley_retrieval.domain.items import Item, ItemVersion, document_of, item_document_id
from parley_retrieval.domain.meaning import DenseVector
from parley_retrieval.operations.begun_writes import BegunWrites
from parley_retrieval.operations.indexing import BATCH_CHUNKS, Indexing, StoredMeanings
from parley_retrieval.operations.meanings import WAITING_CALLER_SECONDS, Meanings
from parley_retrieval.ports.item_store import ItemStore

logger = logging.getLogger(__name__)


class Items:
    """The use cases. A write that was begun is finished, also when its caller has gone."""

    def __init__(self, store: ItemStore, indexing: Indexing, meanings: Meanings) -> None:
        """`indexing` embeds with the same `meanings`."""
        self._store = store
        self._indexing = indexing
        self._meanings = meanings
        self._writes = BegunWrites()

    async def put(self, items: Sequence[Item]) -> int:
        """Writes items that are newer than what is there, and tells how many they were. They can be found then."""
        return await self._writes.finish(self._put(items))

    async def delete(self, user_id: str, deleted: Sequence[ItemVersion]) -> int:
        """Deletes a user's items, and tells how many were there."""
        return await self._writes.finish(self._delete(user_id, deleted))

    async def page(self, user_id: str, after: str, size: int) -> tuple[Sequence[ItemVersion], str]:
        """A user's items by type and id, and how the index calls the one behind which the next page begins; empty on the last page."""
        found = await self._store.page(user_id, after, size + 1)
        if len(found) <= size:
            return found, ""
        last = found[size - 1]
        return found[:size], item_document_id(user_id, last.item_type, last.item_id)

    async def settle(self) -> None:
        """Returns when no write is under way."""
        await self._writes.settle()

    async def _put(self, items: Sequence[Item]) -> int:
        known = await self._store.versions([item.document_id for item in items])
        newer = [item for item in items if known.get(item.document_id, 0) < item.named.version]
        cut: list[tuple[Item, Document, list[Chunk]]] = []
        for item in newer:
            document = document_of(item)
            cut.append((item, document, await self._indexing.cut(document)))
        vectors = await self._embedded([meaning_text(document, chunk) for _, document, of in cut for chunk in of])
        written = position = 0
        for item, document, of in cut:
            own = vectors[position : position + len(of)]
            position += len(of)

            async def write(_: Document, chunks: Sequence[Chunk], item: Item = item) -> None:
                await self._store.put(item, chunks)

            try:
                await self._indexing.put_chunks(document, of, meanings=_stored(own), write=write)
                written += 1
            except ItemOutdatedError:
                # Another call was faster: what it wrote stays.
                logger.debug("an item was overtaken by a newer version")
        return written

    async def _embedded(self, texts: Sequence[str]) -> list[DenseVector]:
        """A vector for each text, or for the first ones when the model goes away."""
        vectors: list[DenseVector] = []
        if not self._meanings.enabled:
            return vectors
        try:
            for start in range(0, len(texts), BATCH_CHUNKS):
                batch = texts[start : start + BATCH_CHUNKS]
                vectors += await self._meanings.passages(batch, seconds=WAITING_CALLER_SECONDS)
        except (EmbeddingUnavailableError, EmbeddingRefusedError) as error:
            logger.warning("items are indexed by their words alone for now: %s", error)
            self._meanings.behind.set()
        return vectors

    async def _delete(self, user_id: str, deleted: Sequence[ItemVersion]) -> int:
        were_there = 0
        for one in deleted:

            async def write(_: str, one: ItemVersion = one) -> None:
                nonlocal were_there
                were_there += await self._store.delete(user_id, one)

            document_id = item_document_id(user_id, one.item_type, one.item_id)
            await self._indexing.remove(document_id, write=write)
        return were_there


def _stored(vectors: Sequence[DenseVector]) -> StoredMeanings:
    async def stored(start: int) -> Sequence[DenseVector]:
        return vectors[start : start + BATCH_CHUNKS]

    return stored
