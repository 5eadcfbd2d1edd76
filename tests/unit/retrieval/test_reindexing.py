"""The index follows its embedding model. The database and the index are real; the model is a function."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from parley_retrieval.adapters.edge_index_shelf import EdgeIndexShelf
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.otel_tracing import OtelTracing
from parley_retrieval.adapters.semantic_text_splitter import SemanticTextSplitter
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_schema import metadata
from parley_retrieval.domain.documents import Document, MediaType, new_document_id, sha256
from parley_retrieval.domain.errors import EmbeddingRefusedError, EmbeddingUnavailableError
from parley_retrieval.domain.meaning import Space
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.generations import Generations
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.operations.reindexing import Reindexing
from parley_retrieval.operations.search import Search, SearchMode
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.ports.embedding_model import Embeddings
from parley_shared.sql import Database, migrate

ONE, TWO = Space("one", 3), Space("two", 5)


class Model:
    """A model whose vectors count letters. It notes what it is asked, and fails when it is told to."""

    def __init__(self, space: Space = ONE) -> None:
        self.space = space
        self.texts: list[str] = []
        self.fails: Callable[[], None] = lambda: None

    async def embed(self, texts: Sequence[str], *, seconds: float, model: str = "") -> Embeddings:
        self.fails()
        self.texts += texts
        return Embeddings(self.space.model, [self._vector(text) for text in texts])

    def _vector(self, text: str) -> list[float]:
        return [1.0 + text.count(letter) for letter in "aeiou"[: self.space.dimensions]]


def document_of(word: str) -> Document:
    text = f"the {word} stands here"
    now = datetime.now(UTC)
    return Document(
        new_document_id(), "usr_a", word, text, MediaType.MARKDOWN, "", "", sha256(text), len(text), 0, now, now
    )


class Rooms:
    """A service without its door."""

    def __init__(self, database: Database, shelf: EdgeIndexShelf, model: Model | None) -> None:
        self.store, self.shelf = SqlDocumentStore(database), shelf
        self.now = 0.0
        self.meanings = Meanings(model, clock=lambda: self.now)
        encoder = TermEncoder(SnowballStemmer("english"), MurmurTermHash())
        index, tracing = Generations(shelf), OtelTracing()
        split = SemanticTextSplitter()
        self.indexing = Indexing(self.store, self.store, index, index, encoder, split, tracing, self.meanings)
        self.reindexing = Reindexing(shelf, self.store, self.indexing, self.meanings)
        self.search = Search(self.store, index, encoder, tracing, self.meanings)

    async def create(self, *words: str) -> str:
        for word in words:
            document = await self.indexing.put(document_of(word))
        return document.document_id

    async def found(self, words: str, mode: SearchMode = SearchMode.HYBRID) -> tuple[SearchMode, set[str]]:
        found = await self.search.find(Visibility("usr_a"), words, limit=50, mode=mode)
        return found.mode, {hit.passage.document_title for hit in found.hits}


@asynccontextmanager
async def opened(folder: Path, model: Model | None) -> AsyncIterator[Rooms]:
    url = f"sqlite:///{folder / 'retrieval.db'}"
    await migrate(url, "parley_retrieval", metadata)
    async with AsyncExitStack() as closing:
        database = Database.open(url)
        closing.push_async_callback(database.close)
        shelf = EdgeIndexShelf(folder / "index", "test encoding")
        closing.push_async_callback(shelf.close)
        await shelf.open()
        rooms = Rooms(database, shelf, model)
        await rooms.indexing.recover()
        yield rooms


async def test_the_first_round_gives_everything_its_meaning(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as rooms:
        await rooms.create("lemur", "gibbon")
    async with opened(tmp_path, Model()) as rooms:
        assert await rooms.found("lemur") == (SearchMode.KEYWORD, {"lemur"})
        await rooms.reindexing.round()
        assert rooms.shelf.current.space == ONE
        assert await rooms.found("tapir", SearchMode.SEMANTIC) == (SearchMode.SEMANTIC, {"lemur", "gibbon"})
        assert (rooms.reindexing.done, rooms.reindexing.wanted) == (2, 2)


async def test_a_round_that_finds_nothing_to_do_asks_for_no_passage(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, model) as rooms:
        await rooms.create("lemur")
        await rooms.reindexing.round()
        model.texts.clear()
        await rooms.reindexing.round()
        assert len(model.texts) == 1, "the space is asked for, and nothing else"


async def test_what_was_written_while_the_model_was_away_is_found_by_words_and_then_by_meaning(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, model) as rooms:
        await rooms.reindexing.round()
        rooms.meanings.behind.clear()

        def away() -> None:
            raise EmbeddingUnavailableError("away")

        model.fails = away
        await rooms.create("lemur")
        assert rooms.meanings.behind.is_set()
        assert await rooms.found("lemur") == (SearchMode.KEYWORD, {"lemur"})
        with pytest.raises(EmbeddingUnavailableError):
            await rooms.reindexing.round()
        model.fails = lambda: None
        assert await rooms.found("tapir", SearchMode.SEMANTIC) == (SearchMode.KEYWORD, set()), "nobody waits again yet"
        rooms.now += 60
        await rooms.reindexing.round()
        assert await rooms.found("tapir", SearchMode.SEMANTIC) == (SearchMode.SEMANTIC, {"lemur"})


async def test_a_job_that_must_embed_changes_nothing_when_it_cannot(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, model) as rooms:
        document_id = await rooms.create("lemur")
        document = await rooms.store.document(document_id)
        assert document is not None

        def refuse() -> None:
            raise EmbeddingRefusedError("no such model")

        model.fails = refuse
        with pytest.raises(EmbeddingRefusedError):
            await rooms.indexing.put(document, must_embed=True)
        assert await rooms.found("lemur") == (SearchMode.KEYWORD, {"lemur"})


async def test_writes_while_the_next_index_is_made_are_in_it(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, model) as rooms:
        first = await rooms.create("lemur", "gibbon")
        await rooms.reindexing.round()
        model.space = TWO
        await rooms.shelf.begin(TWO)
        await rooms.create("tapir")
        await rooms.indexing.remove(first)
        await rooms.reindexing.round()
        assert rooms.shelf.current.space == TWO
        assert await rooms.found("okapi", SearchMode.SEMANTIC) == (SearchMode.SEMANTIC, {"lemur", "tapir"})
        assert len(await rooms.shelf.current.chunk_ids()) == 2


async def test_a_change_that_keeps_the_text_reaches_what_the_next_index_has_already(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, model) as rooms:
        document_id = await rooms.create("lemur")
        await rooms.reindexing.round()
        model.space = TWO
        await rooms.shelf.begin(TWO)
        assert rooms.shelf.next is not None
        chunk_ids = await rooms.shelf.current.chunk_ids()
        assert await rooms.indexing.complete(document_id, chunk_ids, rooms.shelf.next)
        before = await rooms.store.document(document_id)
        assert before is not None
        # The chunk keeps its id, so that nothing is missing: only writing into both makes the next index right.
        await rooms.indexing.put(replace(before, title="okapi", update_time=datetime.now(UTC)))
        await rooms.reindexing.round()
        assert rooms.shelf.current.space == TWO
        assert await rooms.found("okapi", SearchMode.KEYWORD) == (SearchMode.KEYWORD, {"okapi"})


async def test_a_document_that_changes_while_it_is_embedded_is_written_as_it_is_then(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, None) as rooms:
        document_id = await rooms.create("lemur")
    async with opened(tmp_path, model) as rooms:
        changes: list[str] = []
        before = await rooms.store.document(document_id)
        assert before is not None
        embed = model.embed

        async def embed_and_change(texts: Sequence[str], *, seconds: float, model: str = "") -> Embeddings:
            if any("lemur" in text for text in texts) and not changes:
                changes.append(document_id)
                await rooms.indexing.put(replace(before, title="okapi", update_time=datetime.now(UTC)))
            return await embed(texts, seconds=seconds, model=model)

        model.embed = embed_and_change  # type: ignore[method-assign]  # A model that is slower than the user.
        await rooms.reindexing.round()
        # By words: by meaning the one document there is would be found whatever was written.
        assert await rooms.found("okapi", SearchMode.KEYWORD) == (SearchMode.KEYWORD, {"okapi"})


async def test_an_answer_goes_on_by_the_old_model_until_the_next_index_is_whole(tmp_path: Path) -> None:
    model = Model()
    async with opened(tmp_path, model) as rooms:
        await rooms.create("lemur", "gibbon")
        await rooms.reindexing.round()
        model.space = TWO
        rooms.meanings.behind.clear()
        assert await rooms.found("lemur") == (SearchMode.KEYWORD, {"lemur"}), "the old model is gone"
        assert rooms.meanings.behind.is_set(), "the change was noticed"
        await rooms.reindexing.round()
        rooms.now += 60
        assert await rooms.found("lemur") == (SearchMode.HYBRID, {"lemur", "gibbon"})


_MAKER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_reindexing as suite

async def main():
    model = suite.Model(suite.TWO)
    plain = model.embed
    calls = 0

    async def embed(texts, *, seconds, model=""):
        nonlocal calls
        calls += 1
        if calls == 4:
            print("half", flush=True)
            await asyncio.Event().wait()
        return await plain(texts, seconds=seconds, model=model)

    model.embed = embed
    async with suite.opened(Path(sys.argv[1]), model) as rooms:
        await rooms.reindexing.round()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_in_the_middle_leaves_the_old_index_and_its_own_half(tmp_path: Path) -> None:
    words = ("lemur", "gibbon", "tapir", "okapi", "heron", "stork")
    async with opened(tmp_path, Model()) as rooms:
        await rooms.create(*words)
        await rooms.reindexing.round()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MAKER, str(tmp_path), str(Path(__file__).parent), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    model = Model(TWO)
    async with opened(tmp_path, model) as rooms:
        assert rooms.shelf.current.space == ONE
        assert rooms.shelf.next is not None
        assert await rooms.found("lemur") == (SearchMode.KEYWORD, {"lemur"})
        model.texts.clear()
        await rooms.reindexing.round()
        assert len(model.texts) == 1 + len(words) - 2, "two documents were done, and are not done again"
        rooms.now += 60
        assert await rooms.found("zebu", SearchMode.SEMANTIC) == (SearchMode.SEMANTIC, set(words))
    assert len(list((tmp_path / "index" / "generations").iterdir())) == 1


async def test_without_a_model_what_was_being_made_is_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path, Model()) as rooms:
        await rooms.create("lemur")
        await rooms.shelf.begin(TWO)
    async with opened(tmp_path, None) as rooms:
        assert rooms.shelf.next is not None
        await rooms.reindexing.run()
        assert [path.name for path in (tmp_path / "index" / "generations").iterdir()] == ["words"]
        assert await rooms.found("lemur") == (SearchMode.KEYWORD, {"lemur"})
