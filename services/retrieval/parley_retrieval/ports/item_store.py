"""The database of items, which other services own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from parley_retrieval.domain.chunks import Chunk, Passage
from parley_retrieval.domain.items import Item, ItemVersion


class ItemStore(Protocol):
    """Keeps items, each with its chunks, and the versions of those that were deleted. An older version never replaces a newer one."""

    async def put(self, item: Item, chunks: Sequence[Chunk]) -> None:
        """Writes an item and its chunks, in place of an older version. Raises ItemOutdatedError when there is none to replace."""
        ...

    async def delete(self, user_id: str, deleted: ItemVersion) -> bool:
        """Deletes an item and its chunks and remembers the version; tells whether it was there.

        Nothing happens when it is there, or was deleted, in this version or a newer one.
        """
        ...

    async def versions(self, document_ids: Sequence[str]) -> Mapping[str, int]:
        """The versions of items, deleted ones among them, by what the index calls them."""
        ...

    async def page(self, user_id: str, after: str, limit: int) -> Sequence[ItemVersion]:
        """A user's items by type and id, at most `limit`, from the first one on or from behind the one that the index calls `after`.

        That one may have been deleted meanwhile; behind one that never was there is nothing.
        """
        ...

    async def passages(self, user_id: str, chunk_ids: Sequence[UUID]) -> Sequence[Passage]:
        """Those of the chunks that exist and are of the user's items, in any order."""
        ...
