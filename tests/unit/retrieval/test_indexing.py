"""A write that fails in the middle leaves the old state or the new one. The database and the index are real; one of them is
told to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from parley_retrieval.adapters.edge_vector_index import EdgeVectorIndex
from parley_retrieval.adapters.folder_blob_store import FolderBlobStore
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.otel_tracing import OtelTracing
from parley_retrieval.adapters.semantic_text_splitter import SemanticTextSplitter
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_job_store import SqlJobStore
from parley_retrieval.adapters.sql_schema import metadata
from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.errors import IndexFailedError
from parley_retrieval.domain.jobs import UserLimits
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.documents import DocumentChange, DocumentDraft, Documents
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.ingestion import Ingestion
from parley_retrieval.operations.job_board import JobBoard
from parley_retrieval.operations.search import Search
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.ports.vector_index import IndexPoint
from parley_shared.sql import Database, migrate


class FragileIndex(EdgeVectorIndex):
    """The embedded index, which fails at the calls that it is told to, half of the work done."""

    failing: frozenset[str] = frozenset()
    flushes = 0
    held: asyncio.Event | None = None
    """While it is not set, writes wait; `reached` says that one does."""
    reached: asyncio.Event

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        if self.held is not None:
            self.reached.set()
            await self.held.wait()
        if "upsert" in self.failing:
            await super().upsert(points[: len(points) // 2])
            raise IndexFailedError("upsert")
        await super().upsert(points)

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        if "remove" in self.failing:
            raise IndexFailedError("remove")
        await super().remove(chunk_ids)

    async def flush(self) -> None:
        self.flushes += 1
        await super().flush()


class Rooms:
    """A service without its door."""

    def __init__(self, database: Database, index: FragileIndex, encoder: TermEncoder, folder: Path) -> None:
        self.store = SqlDocumentStore(database)
        self.index = index
        tracing = OtelTracing()
        split = SemanticTextSplitter()
        self.indexing = Indexing(self.store, self.store, index, index, encoder, split, tracing)
        limits = UserLimits(documents=100, bytes=1_000_000, unfinished_jobs=10)
        ingestion = Ingestion(SqlJobStore(database), FolderBlobStore(folder), self.indexing, JobBoard(), limits=limits)
        self.documents = Documents(self.store, self.indexing, ingestion, limits=limits)
        self._search = Search(self.store, index, encoder, tracing)

    async def found(self, words: str, limit: int = 50) -> list[str]:
        found = await self._search.find(Visibility("usr_a"), words, limit=limit)
        return [hit.passage.chunk.text for hit in found.hits]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Rooms]:
    url = f"sqlite:///{folder / 'retrieval.db'}"
    await migrate(url, "parley_retrieval", metadata)
    async with AsyncExitStack() as closing:
        database = Database.open(url)
        closing.push_async_callback(database.close)
        encoder = TermEncoder(SnowballStemmer("english"), MurmurTermHash())
        index = FragileIndex(folder / "index", encoder.encoding)
        await index.open()
        closing.push_async_callback(index.close)
        rooms = Rooms(database, index, encoder, folder)
        await rooms.indexing.recover()
        yield rooms


def draft(word: str, parts: int = 1) -> DocumentDraft:
    text = "\n\n".join(f"# Part {part}\n\n{word}" for part in range(parts))
    return DocumentDraft(title=word, text=text, media_type=MediaType.MARKDOWN, project="", source_uri="")


async def test_a_create_that_the_index_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        rooms.index.failing = frozenset({"upsert"})
        with pytest.raises(IndexFailedError):
            await rooms.documents.create("usr_a", draft("lemur", parts=9))
        rooms.index.failing = frozenset()
        assert await rooms.store.count("usr_a") == 0
        assert await rooms.index.chunk_ids() == set()
        document, created = await rooms.documents.create("usr_a", draft("lemur", parts=9))
        assert created
        assert len(await rooms.found("lemur")) == document.chunk_count == 9


@pytest.mark.parametrize("failing", [{"upsert"}, {"upsert", "remove"}])
async def test_an_update_that_the_index_fails_leaves_the_old_document_whole(tmp_path: Path, failing: set[str]) -> None:
    async with opened(tmp_path) as rooms:
        document, _ = await rooms.documents.create("usr_a", draft("lemur", parts=9))
        rooms.index.failing = frozenset(failing)
        change = DocumentChange(title="gibbon", text=draft("gibbon", parts=9).text)
        with pytest.raises(IndexFailedError):
            await rooms.documents.update("usr_a", document.document_id, change)
        rooms.index.failing = frozenset()
        assert len(await rooms.found("lemur")) == 9
        assert await rooms.found("gibbon") == []
    async with opened(tmp_path) as rooms:
        assert len(await rooms.index.chunk_ids()) == 9
        assert len(await rooms.found("lemur")) == 9


async def test_a_deleted_document_is_gone_though_the_index_failed_and_the_next_start_tidies_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        document, _ = await rooms.documents.create("usr_a", draft("lemur"))
        await rooms.documents.create("usr_a", draft("the lemur that stays"))
        rooms.index.failing = frozenset({"remove"})
        with pytest.raises(IndexFailedError):
            await rooms.documents.delete("usr_a", document.document_id)
        assert await rooms.found("lemur") == ["# Part 0\n\nthe lemur that stays"]
    async with opened(tmp_path) as rooms:
        assert len(await rooms.index.chunk_ids()) == 1
        assert await rooms.store.open_changes() == {}


async def test_a_change_stays_in_the_journal_until_the_index_is_flushed(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        document, _ = await rooms.documents.create("usr_a", draft("lemur"))
        assert list((await rooms.store.open_changes()).values()) == [document.document_id]
        before = rooms.index.flushes
        await rooms.indexing.flush()
        assert rooms.index.flushes == before + 1
        assert await rooms.store.open_changes() == {}
        await rooms.indexing.flush()
        assert rooms.index.flushes == before + 1, "what did not change is not flushed"


async def test_what_the_index_failed_to_do_is_done_at_the_next_flush(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        document, _ = await rooms.documents.create("usr_a", draft("lemur"))
        await rooms.indexing.flush()
        rooms.index.failing = frozenset({"remove"})
        with pytest.raises(IndexFailedError):
            await rooms.documents.delete("usr_a", document.document_id)
        with pytest.raises(IndexFailedError):
            await rooms.indexing.flush()
        assert len(await rooms.store.open_changes()) == 1
        rooms.index.failing = frozenset()
        await rooms.indexing.flush()
        assert await rooms.index.chunk_ids() == set()
        assert await rooms.store.open_changes() == {}


async def test_points_without_chunks_take_no_places_in_an_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        await rooms.documents.create("usr_a", draft("lemur"))
        document, _ = await rooms.documents.create("usr_a", draft("lemur lemur", parts=40))
        await rooms.store.remove(document.document_id)
        assert await rooms.found("lemur", limit=1) == ["# Part 0\n\nlemur"]


async def test_the_index_keeps_nothing_of_what_was_replaced_or_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        document, _ = await rooms.documents.create("usr_a", draft("lemur", parts=9))
        await rooms.documents.update("usr_a", document.document_id, DocumentChange(text="gibbon"))
        assert len(await rooms.index.chunk_ids()) == 1
        await rooms.documents.delete("usr_a", document.document_id)
        assert await rooms.index.chunk_ids() == set()


async def test_a_write_whose_caller_went_away_is_finished(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        rooms.index.held, rooms.index.reached = asyncio.Event(), asyncio.Event()
        call = asyncio.create_task(rooms.documents.create("usr_a", draft("lemur", parts=9)))
        await rooms.index.reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await rooms.found("lemur") == []
        rooms.index.held.set()
        await rooms.documents.settle()
        assert len(await rooms.found("lemur")) == 9
