"""Items and their chunks in the SQL database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from parley_shared.sql import Database
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_retrieval.adapters.sql_schema import item_chunks, items
from parley_retrieval.domain.chunks import Chunk, Passage
from parley_retrieval.domain.documents import Document
from parley_retrieval.domain.errors import ItemOutdatedError
from parley_retrieval.domain.items import Item, ItemVersion, document_of, item_document_id

_CHUNK = (
    item_chunks.c.chunk_id,
    item_chunks.c.number,
    item_chunks.c.start_offset,
    item_chunks.c.end_offset,
    item_chunks.c.heading,
    item_chunks.c.text,
)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = {"deleted": True, "title": "", "project": "", "update_time": _NEVER, "text": ""}
"""What is left of a deleted item, beside its name and its version."""


class SqlItemStore:
    """The port `ItemStore`, and what `SqlIndexJournal` has of items; on SQLite and on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """The database has the newest schema."""
        self._database = database

    async def put(self, item: Item, pieces: Sequence[Chunk]) -> None:
        """See `ItemStore`."""
        key = item.document_id
        rows = [
            {
                "chunk_id": chunk.chunk_id,
                "item_key": key,
                "number": chunk.number,
                "start_offset": chunk.start,
                "end_offset": chunk.end,
                "heading": chunk.heading,
                "text": chunk.text,
            }
            for chunk in pieces
        ]
        async with self._database.write() as connection:
            version, _ = await self._take(connection, item.user_id, item.named)
            if version >= item.named.version:
                raise ItemOutdatedError(item.named.item_type, item.named.item_id)
            values = {
                "version": item.named.version,
                "deleted": False,
                "title": item.title,
                "project": item.project,
                "update_time": item.update_time,
                "text": item.text,
            }
            await connection.execute(update(items).where(items.c.item_key == key).values(values))
            await connection.execute(delete(item_chunks).where(item_chunks.c.item_key == key))
            if rows:
                await connection.execute(insert(item_chunks), rows)

    async def delete(self, user_id: str, deleted: ItemVersion) -> bool:
        """See `ItemStore`."""
        key = item_document_id(user_id, deleted.item_type, deleted.item_id)
        async with self._database.write() as connection:
            version, is_there = await self._take(connection, user_id, deleted)
            if version >= deleted.version:
                return False
            gone = update(items).where(items.c.item_key == key).values(version=deleted.version, **_NOTHING)
            await connection.execute(gone)
            await connection.execute(delete(item_chunks).where(item_chunks.c.item_key == key))
            return is_there

    async def versions(self, document_ids: Sequence[str]) -> Mapping[str, int]:
        """See `ItemStore`."""
        statement = select(items.c.item_key, items.c.version).where(items.c.item_key.in_(document_ids))
        async with self._database.read() as connection:
            return {row.item_key: row.version for row in await connection.execute(statement)}

    async def page(self, user_id: str, after: str, limit: int) -> list[ItemVersion]:
        """See `ItemStore`."""
        statement = (
            select(items.c.item_type, items.c.item_id, items.c.version)
            .where(items.c.owner_id == user_id, ~items.c.deleted)
            .order_by(items.c.item_type, items.c.item_id)
            .limit(limit)
        )
        if after:
            last = select(items.c.item_type, items.c.item_id).where(
                items.c.item_key == after, items.c.owner_id == user_id
            )
            before = last.subquery("before")
            same_type = and_(items.c.item_type == before.c.item_type, items.c.item_id > before.c.item_id)
            statement = statement.join(before, or_(items.c.item_type > before.c.item_type, same_type))
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
            return [ItemVersion(row.item_type, row.item_id, row.version) for row in rows]

    async def passages(self, user_id: str, chunk_ids: Sequence[UUID]) -> list[Passage]:
        """See `ItemStore`."""
        if not chunk_ids:
            return []
        statement = (
            select(*_CHUNK, items.c.item_type, items.c.item_id, items.c.title)
            .join_from(item_chunks, items)
            .where(item_chunks.c.chunk_id.in_(chunk_ids), items.c.owner_id == user_id)
        )
        async with self._database.read() as connection:
            return [
                Passage(_chunk(row), row.item_id, row.title, shared=False, document_version=0, item_type=row.item_type)
                for row in await connection.execute(statement)
            ]

    async def document(self, document_id: str) -> Document | None:
        """An item as the index sees it."""
        statement = select(items).where(items.c.item_key == document_id, ~items.c.deleted)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return None
        named = ItemVersion(row.item_type, row.item_id, row.version)
        return document_of(Item(row.owner_id, named, row.title, row.text, row.project, row.update_time))

    async def chunks(self, document_id: str) -> list[Chunk]:
        """An item's chunks by number."""
        statement = select(*_CHUNK).where(item_chunks.c.item_key == document_id).order_by(item_chunks.c.number)
        async with self._database.read() as connection:
            return [_chunk(row) for row in await connection.execute(statement)]

    async def chunk_documents(self, user_id: str = "") -> dict[UUID, str]:
        """What the index calls the item of every chunk there is, or of every one of a user, by chunk id."""
        statement = select(item_chunks.c.chunk_id, item_chunks.c.item_key)
        if user_id:
            statement = statement.join_from(item_chunks, items).where(items.c.owner_id == user_id)
        async with self._database.read() as connection:
            return {row.chunk_id: row.item_key for row in await connection.execute(statement)}

    async def _take(self, connection: AsyncConnection, user_id: str, named: ItemVersion) -> tuple[int, bool]:
        """The version of an item, 0 for a new one, and whether it is there. Its row is this transaction's until its end."""
        key = item_document_id(user_id, named.item_type, named.item_id)
        new = {
            "item_key": key,
            "owner_id": user_id,
            "item_type": named.item_type,
            "item_id": named.item_id,
            "version": 0,
            **_NOTHING,
        }
        # First a row, so that two calls for a new item meet in one, too.
        if self._database.dialect == "sqlite":
            await connection.execute(sqlite.insert(items).values(new).on_conflict_do_nothing())
        else:
            await connection.execute(postgresql.insert(items).values(new).on_conflict_do_nothing())
        taken = select(items.c.version, items.c.deleted).where(items.c.item_key == key).with_for_update()
        row = (await connection.execute(taken)).one()
        return row.version, not row.deleted


def _chunk(row: Any) -> Chunk:
    return Chunk(row.chunk_id, row.number, row.start_offset, row.end_offset, row.heading, row.text)
