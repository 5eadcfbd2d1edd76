"""Passages are weighed by how long their owner's passages are. The database and the index are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from parley_retrieval.adapters.edge_index_shelf import EdgeIndexShelf
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.otel_tracing import OtelTracing
from parley_retrieval.adapters.semantic_text_splitter import SemanticTextSplitter
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_passage_lengths import SqlPassageLengths
from parley_retrieval.adapters.sql_schema import metadata
from parley_retrieval.domain.bm25 import AVERAGE_LENGTH
from parley_retrieval.domain.documents import Document, MediaType, sha256
from parley_retrieval.domain.errors import IndexFailedError
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.generations import Generations
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.learned_lengths import LearnedLengths
from parley_retrieval.operations.search import Search
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.operations.weighing import Weighing
from parley_shared.sql import Database, migrate

SHORT = "lemurs of the {} climb"
NOTES = 40


class Rooms:
    """A service without its door."""

    def __init__(self, database: Database, shelf: EdgeIndexShelf, *, learns: bool) -> None:
        documents = SqlDocumentStore(database)
        encoder = TermEncoder(SnowballStemmer("english"), MurmurTermHash())
        index, tracing = Generations(shelf), OtelTracing()
        self.store, self.index = SqlPassageLengths(database), index
        self.lengths = LearnedLengths(self.store)
        lengths = self.lengths if learns else None
        split = SemanticTextSplitter()
        self.indexing = Indexing(documents, documents, index, index, encoder, split, tracing, None, lengths)
        self.weighing = Weighing(self.store, self.lengths, documents, self.indexing)
        self.search = Search(documents, index, encoder, tracing)

    async def write(self, owner_id: str, *texts: str) -> None:
        now = datetime.now(UTC)
        for text in texts:
            named = f"doc_{sha256(owner_id + text)[:20]}"
            facts = (text, MediaType.MARKDOWN, "", "", sha256(text), len(text), 0, now, now)
            await self.indexing.put(Document(named, owner_id, "Note", *facts))

    async def score(self, owner_id: str, question: str) -> float:
        found = await self.search.find(Visibility(owner_id, include_shared=False), question, limit=1)
        return found.hits[0].score


@asynccontextmanager
async def opened(folder: Path, *, learns: bool = True) -> AsyncIterator[Rooms]:
    url = f"sqlite:///{folder / 'retrieval.db'}"
    await migrate(url, "parley_retrieval", metadata)
    async with AsyncExitStack() as closing:
        database = Database.open(url)
        closing.push_async_callback(database.close)
        shelf = EdgeIndexShelf(folder / "index", "test encoding")
        closing.push_async_callback(shelf.close)
        await shelf.open()
        rooms = Rooms(database, shelf, learns=learns)
        await rooms.indexing.recover()
        yield rooms


def notes(count: int = NOTES) -> list[str]:
    return [SHORT.format(f"forest{number}") for number in range(count)]


async def test_notes_of_a_few_words_are_weighed_by_their_own_length(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        await rooms.write("usr_a", *notes())
        before = await rooms.score("usr_a", "forest7")
        assert rooms.lengths.drifted.is_set()
        await rooms.weighing.round()
        known = await rooms.store.find("usr_a")
        assert known is not None
        assert known.passages == NOTES
        assert known.expected < AVERAGE_LENGTH / 2
        assert not known.drifted
        # A note is as long as notes are: no longer counted as much shorter than a passage should be.
        assert await rooms.score("usr_a", "forest7") < before


async def test_a_later_note_is_weighed_as_those_that_were_weighed_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        await rooms.write("usr_a", *notes())
        await rooms.weighing.round()
        await rooms.write("usr_a", SHORT.format("lagoon"), SHORT.format("meadow"))
        scores = [await rooms.score("usr_a", word) for word in ("forest7", "lagoon", "meadow")]
        assert scores == pytest.approx([scores[0]] * 3)


async def test_one_owners_notes_say_nothing_about_anothers(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        await rooms.write("usr_a", *notes())
        await rooms.write("usr_b", " ".join(f"word{number}" for number in range(44)))
        await rooms.weighing.round()
        assert await rooms.lengths.expected("usr_a") < AVERAGE_LENGTH / 2
        assert await rooms.lengths.expected("usr_b") == AVERAGE_LENGTH
        assert await rooms.store.begun() == []


async def test_documents_from_before_lengths_were_learned_are_weighed_too(tmp_path: Path) -> None:
    async with opened(tmp_path, learns=False) as rooms:
        await rooms.write("usr_a", *notes())
        before = await rooms.score("usr_a", "forest7")
    async with opened(tmp_path) as rooms:
        await rooms.weighing.round()
        assert await rooms.score("usr_a", "forest7") < before
        assert await rooms.store.unknown() == []


async def test_a_weighing_that_failed_is_done_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as rooms:
        await rooms.write("usr_a", *notes())
        before = await rooms.score("usr_a", "forest7")
        weigh, calls = rooms.index.weigh, 0

        async def fails(*arguments: object) -> None:
            nonlocal calls
            calls += 1
            if calls > NOTES // 2:
                raise IndexFailedError("away")
            await weigh(*arguments)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(rooms.index, "weigh", fails)
        with pytest.raises(IndexFailedError):
            await rooms.weighing.round()
        assert await rooms.store.begun() == ["usr_a"]
    async with opened(tmp_path) as rooms:
        await rooms.weighing.round()
        assert await rooms.store.begun() == []
        scores = {round(await rooms.score("usr_a", f"forest{number}"), 4) for number in range(NOTES)}
        assert len(scores) == 1
        assert scores.pop() < before


async def test_a_weighing_that_may_not_be_on_the_disk_is_not_noted_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as rooms:
        await rooms.write("usr_a", *notes())

        async def fails() -> None:
            raise IndexFailedError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(rooms.index, "flush", fails)
            with pytest.raises(IndexFailedError):
                await rooms.weighing.round()
        assert await rooms.store.begun() == ["usr_a"]
        await rooms.weighing.round()
        assert await rooms.store.begun() == []


async def test_the_service_weighs_without_being_asked(tmp_path: Path) -> None:
    async with opened(tmp_path) as rooms:
        running = asyncio.create_task(rooms.weighing.run())
        await rooms.write("usr_a", *notes())
        async with asyncio.timeout(60):
            while await rooms.lengths.expected("usr_a") == AVERAGE_LENGTH or await rooms.store.begun():  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.01)
        running.cancel()
