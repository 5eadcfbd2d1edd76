"""Documents, chunks and the index's journal in the SQL database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from parley_shared.sql import Database
from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_retrieval.adapters.sql_job_rows import held
from parley_retrieval.adapters.sql_schema import chunks, document_versions, documents, index_changes, jobs
from parley_retrieval.domain.chunks import Chunk, Passage
from parley_retrieval.domain.documents import OLDER_VERSIONS, Document, DocumentVersion, MediaType
from parley_retrieval.domain.errors import DocumentExistsError, JobLostError
from parley_retrieval.domain.jobs import JobClaim, JobStage
from parley_retrieval.domain.outline import Heading
from parley_retrieval.domain.visibility import SHARED_OWNER, Visibility
from parley_retrieval.ports.document_store import DocumentCursor

_FACTS = tuple(column for column in documents.c if column.name not in {"likeness", "text", "outline"})
_WHOLE = (*_FACTS, documents.c.text, documents.c.outline)
_CHUNK = (
    chunks.c.chunk_id,
    chunks.c.number,
    chunks.c.start_offset,
    chunks.c.end_offset,
    chunks.c.heading,
    chunks.c.text,
    chunks.c.page_number,
)
_VERSION = (
    document_versions.c.version,
    document_versions.c.title,
    document_versions.c.content_sha256,
    document_versions.c.size_bytes,
    document_versions.c.update_time,
)
# Every search has it executed: written once, because writing a statement takes longer than executing it.
_PASSAGES = (
    select(*_CHUNK, documents.c.document_id, documents.c.title, documents.c.owner_id, documents.c.version)
    .join_from(chunks, documents)
    .where(chunks.c.chunk_id.in_(bindparam("chunk_ids", expanding=True)))
    .where(documents.c.owner_id.in_(bindparam("owners", expanding=True)))
)
# Databases bound the parameters of a statement, at 32,766 and up.
_MOST_PARAMETERS = 5_000


class SqlDocumentStore:
    """The ports `DocumentStore` and `IndexJournal`, on SQLite and on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """The database has the newest schema."""
        self._database = database

    async def find(self, visibility: Visibility, document_id: str) -> Document | None:
        """See `DocumentStore`."""
        statement = (
            select(*_WHOLE)
            .where(documents.c.document_id == document_id)
            .where(documents.c.owner_id.in_(visibility.owners))
        )
        return await self._one_document(statement)

    async def find_version(self, visibility: Visibility, document_id: str, version: int) -> Document | None:
        """See `DocumentStore`."""
        before = document_versions.c
        own = {column.name for column in before}
        statement = (
            select(*(column for column in _FACTS if column.name not in own), *before)
            .join_from(documents, document_versions)
            .where(before.document_id == document_id, before.version == version)
            .where(documents.c.owner_id.in_(visibility.owners))
        )
        # In this order: what becomes an older version in between is found then.
        newest = await self.find(visibility, document_id)
        if newest is None or newest.version == version:
            return newest
        older = await self._one_document(statement)
        return None if older is None else replace(older, chunk_count=0)

    async def versions(self, visibility: Visibility, document_id: str) -> list[DocumentVersion]:
        """See `DocumentStore`."""
        seen = and_(documents.c.document_id == document_id, documents.c.owner_id.in_(visibility.owners))
        newest = select(*(documents.c[column.name] for column in _VERSION)).where(seen)
        older = select(*_VERSION).join_from(documents, document_versions).where(seen)
        async with self._database.read() as connection:
            rows = await connection.execute(newest.union_all(older))
            found = [DocumentVersion(**row._mapping) for row in rows]  # noqa: SLF001  # As below.
        return sorted(found, key=lambda one: -one.version)

    async def find_like(self, owner_id: str, likeness: str) -> Document | None:
        """See `DocumentStore`."""
        statement = select(*_FACTS).where(documents.c.owner_id == owner_id, documents.c.likeness == likeness)
        return await self._one_document(statement)

    async def page(
        self, visibility: Visibility, project: str, after: DocumentCursor | None, limit: int
    ) -> list[Document]:
        """See `DocumentStore`."""
        statement = (
            select(*_FACTS)
            .where(documents.c.owner_id.in_(visibility.owners))
            .order_by(documents.c.update_time.desc(), documents.c.document_id.desc())
            .limit(limit)
        )
        if project:
            statement = statement.where(documents.c.project == project)
        if after:
            same_time = documents.c.update_time == after.update_time
            statement = statement.where(
                or_(
                    documents.c.update_time < after.update_time,
                    and_(same_time, documents.c.document_id < after.document_id),
                )
            )
        async with self._database.read() as connection:
            return [_document(row) for row in await connection.execute(statement)]

    async def count(self, owner_id: str) -> int:
        """See `DocumentStore`."""
        statement = select(func.count()).select_from(documents).where(documents.c.owner_id == owner_id)
        async with self._database.read() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def passages(self, visibility: Visibility, chunk_ids: Sequence[UUID]) -> list[Passage]:
        """See `DocumentStore`."""
        if not chunk_ids:
            return []
        async with self._database.read() as connection:
            return [
                Passage(_chunk(row), row.document_id, row.title, row.owner_id == SHARED_OWNER, row.version)
                for row in await connection.execute(
                    _PASSAGES, {"chunk_ids": list(chunk_ids), "owners": list(visibility.owners)}
                )
            ]

    async def put(
        self, document: Document, pieces: Sequence[Chunk], claim: JobClaim | None = None, *, keep_versions: bool = True
    ) -> None:
        """See `DocumentStore`."""
        values = {
            "owner_id": document.owner_id,
            "title": document.title,
            "media_type": document.media_type.value,
            "project": document.project,
            "source_uri": document.source_uri,
            "content_sha256": document.content_sha256,
            "likeness": document.likeness,
            "size_bytes": document.size_bytes,
            "chunk_count": document.chunk_count,
            "create_time": document.create_time,
            "update_time": document.update_time,
            "version": document.version,
            "filename": document.filename,
            "page_count": document.page_count,
            "labels": json.dumps(dict(document.labels), ensure_ascii=False),
            "file_sha256": document.file_sha256,
            "page_starts": json.dumps(document.page_starts),
            "text": document.text,
            "outline": json.dumps([(one.level, one.title, one.start, one.end) for one in document.outline]),
        }
        same = documents.c.document_id == document.document_id
        rows = [
            {
                "chunk_id": chunk.chunk_id,
                "document_id": document.document_id,
                "number": chunk.number,
                "start_offset": chunk.start,
                "end_offset": chunk.end,
                "heading": chunk.heading,
                "text": chunk.text,
                "page_number": chunk.page_number,
            }
            for chunk in pieces
        ]
        try:
            async with self._database.write() as connection:
                if claim is not None:
                    await _pass_indexed(connection, claim)
                await _keep_versions(connection, document, OLDER_VERSIONS if keep_versions else 0)
                await connection.execute(delete(chunks).where(chunks.c.document_id == document.document_id))
                replaced = await connection.execute(update(documents).where(same).values(values))
                if replaced.rowcount == 0:
                    await connection.execute(insert(documents).values(document_id=document.document_id, **values))
                if rows:
                    await connection.execute(insert(chunks), rows)
        except IntegrityError:
            # The database's own words hold the text: they end here. The other keys are random or made of this id.
            raise DocumentExistsError(document.document_id) from None

    async def remove(self, document_id: str) -> None:
        """See `DocumentStore`."""
        async with self._database.write() as connection:
            await connection.execute(delete(documents).where(documents.c.document_id == document_id))

    async def open_change(self, change_id: str, document_id: str) -> None:
        """See `IndexJournal`."""
        async with self._database.write() as connection:
            await connection.execute(insert(index_changes).values(change_id=change_id, document_id=document_id))

    async def close_changes(self, change_ids: Sequence[str]) -> None:
        """See `IndexJournal`."""
        async with self._database.write() as connection:
            for start in range(0, len(change_ids), _MOST_PARAMETERS):
                some = change_ids[start : start + _MOST_PARAMETERS]
                await connection.execute(delete(index_changes).where(index_changes.c.change_id.in_(some)))

    async def open_changes(self) -> dict[str, str]:
        """See `IndexJournal`."""
        statement = select(index_changes.c.change_id, index_changes.c.document_id)
        async with self._database.read() as connection:
            return {row.change_id: row.document_id for row in await connection.execute(statement)}

    async def document(self, document_id: str) -> Document | None:
        """See `IndexJournal`."""
        return await self._one_document(select(*_WHOLE).where(documents.c.document_id == document_id))

    async def owned(self, owner_id: str) -> list[Document]:
        """See `IndexJournal`."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(*_FACTS).where(documents.c.owner_id == owner_id))
            return [_document(row) for row in rows]

    async def chunks(self, document_id: str) -> list[Chunk]:
        """See `IndexJournal`."""
        statement = select(*_CHUNK).where(chunks.c.document_id == document_id).order_by(chunks.c.number)
        async with self._database.read() as connection:
            return [_chunk(row) for row in await connection.execute(statement)]

    async def chunk_documents(self) -> dict[UUID, str]:
        """See `IndexJournal`."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(chunks.c.chunk_id, chunks.c.document_id))
            return {row.chunk_id: row.document_id for row in rows}

    async def chunk_documents_of(self, owner_id: str) -> dict[UUID, str]:
        """See `IndexJournal`."""
        statement = (
            select(chunks.c.chunk_id, chunks.c.document_id)
            .join_from(chunks, documents)
            .where(documents.c.owner_id == owner_id)
        )
        async with self._database.read() as connection:
            return {row.chunk_id: row.document_id for row in await connection.execute(statement)}

    async def _one_document(self, statement: Any) -> Document | None:
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else _document(row)


async def _keep_versions(connection: AsyncConnection, document: Document, most: int) -> None:
    """Keeps what is there now as an older version of what it is about to become, and drops the versions that are too old."""
    there = documents.c.document_id == document.document_id
    # Whoever changes the same document in another process waits here, and then finds what it has become.
    await connection.execute(select(documents.c.version).where(there).with_for_update())
    if most:
        columns = [documents.c[column.name] for column in document_versions.c]
        before = select(*columns).where(there, documents.c.version < document.version)
        names = [column.name for column in columns]
        await connection.execute(insert(document_versions).from_select(names, before))
    version = document_versions.c.version
    past = or_(version < document.version - most, version >= document.version)
    await connection.execute(
        delete(document_versions).where(document_versions.c.document_id == document.document_id, past)
    )


async def _pass_indexed(connection: AsyncConnection, claim: JobClaim) -> None:
    mine = held(claim)
    passed = await connection.execute(update(jobs).where(mine).values(stage=JobStage.INDEXED.value))
    if not passed.rowcount:
        raise JobLostError(claim.job_id)


def _document(row: Any) -> Document:
    facts = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented way to a row's names.
    facts["media_type"] = MediaType(row.media_type)
    facts["labels"] = json.loads(row.labels)
    facts["page_starts"] = tuple(json.loads(row.page_starts))
    facts["outline"] = tuple(Heading(*one) for one in json.loads(facts.get("outline", "[]")))
    return Document(**{"text": None, **facts})


def _chunk(row: Any) -> Chunk:
    return Chunk(row.chunk_id, row.number, row.start_offset, row.end_offset, row.heading, row.text, row.page_number)
