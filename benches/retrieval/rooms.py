"""Retrieval without its doors, put together for a bench: a database and an index in a folder, and an embedding model that costs nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from parley_retrieval.adapters.edge_index_shelf import EdgeIndexShelf
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.otel_tracing import OtelTracing
from parley_retrieval.adapters.semantic_text_splitter import SemanticTextSplitter
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_passage_lengths import SqlPassageLengths
from parley_retrieval.adapters.sql_schema import metadata
from parley_retrieval.domain.documents import Document, MediaType, sha256
from parley_retrieval.domain.meaning import Space
from parley_retrieval.operations.generations import Generations
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.learned_lengths import LearnedLengths
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.operations.search import Search
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.operations.weighing import Weighing
from parley_retrieval.ports.embedding_model import Embeddings
from parley_shared.sql import Database, migrate

MODEL = "vectors of a bench"


class InstantModel:
    """An embedding model in this process."""

    def __init__(self, vector: Callable[[str], Sequence[float]]) -> None:
        self._vector = vector

    async def embed(self, texts: Sequence[str], *, seconds: float, model: str = "") -> Embeddings:
        """See the port."""
        return Embeddings(MODEL, [self._vector(text) for text in texts])


@dataclass(frozen=True)
class Rooms:
    """What is measured."""

    indexing: Indexing
    weighing: Weighing
    search: Search
    encoder: TermEncoder


@asynccontextmanager
async def opened(folder: Path, vector: Callable[[str], Sequence[float]], dimensions: int) -> AsyncIterator[Rooms]:
    """An empty retrieval whose index has meanings."""
    url = f"sqlite:///{folder / 'retrieval.db'}"
    await migrate(url, "parley_retrieval", metadata)
    async with AsyncExitStack() as closing:
        database = Database.open(url)
        closing.push_async_callback(database.close)
        store, tracing = SqlDocumentStore(database), OtelTracing()
        encoder = TermEncoder(SnowballStemmer("english"), MurmurTermHash())
        shelf = EdgeIndexShelf(folder / "index", encoder.encoding)
        closing.push_async_callback(shelf.close)
        await shelf.open()
        await shelf.begin(Space(MODEL, dimensions))
        await shelf.promote()
        index, meanings = Generations(shelf), Meanings(InstantModel(vector))
        length_store = SqlPassageLengths(database)
        lengths = LearnedLengths(length_store)
        indexing = Indexing(store, store, index, index, encoder, SemanticTextSplitter(), tracing, meanings, lengths)
        weighing = Weighing(length_store, lengths, store, indexing)
        yield Rooms(indexing, weighing, Search(store, index, encoder, tracing, meanings), encoder)


def document(owner_id: str, title: str, text: str) -> Document:
    """A document of plain Markdown."""
    now = datetime.now(UTC)
    return Document(
        # Of its text, so that equal scores come in the same order in every run.
        document_id=f"doc_{sha256(f'{owner_id}/{title}/{text}')[:32]}",
        owner_id=owner_id,
        title=title,
        text=text,
        media_type=MediaType.MARKDOWN,
        project="",
        source_uri="",
        content_sha256=sha256(text),
        size_bytes=len(text.encode()),
        chunk_count=0,
        create_time=now,
        update_time=now,
    )
