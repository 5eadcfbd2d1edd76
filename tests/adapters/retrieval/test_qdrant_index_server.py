"""What only an index in a server has: a version, a key, other processes, and a network that may be down."""

from __future__ import annotations

import asyncio
import logging
import uuid
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from parley_retrieval.adapters.qdrant_index_shelf import QdrantIndexShelf, open_qdrant_client
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.errors import IndexFailedError
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.generations import Generations
from parley_retrieval.ports.vector_index import IndexPoint, IndexQuery
from parley_testing.loopback_qdrant import API_KEY, LoopbackQdrant

SPACE = Space("vectors", 2)


@asynccontextmanager
async def opened(server: LoopbackQdrant, encoding: str = "one", key: str = "") -> AsyncIterator[QdrantIndexShelf]:
    shelf = QdrantIndexShelf(open_qdrant_client(server.url, key), "parley", encoding)
    try:
        await shelf.open()
        yield shelf
    finally:
        await shelf.close()


def point(owner_id: str = "usr_a", term: int = 1) -> IndexPoint:
    meaning = DenseVector(SPACE, array("f", [1, 0]))
    return IndexPoint(uuid.uuid4(), owner_id, "doc_1", "", 0, "0" * 64, SparseVector((term,), (1.0,)), meaning)


async def score(shelf: QdrantIndexShelf) -> float:
    (best,) = await shelf.current.search(IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 1))
    return best.score


@pytest.mark.parametrize(("version", "is_old"), [("1.18.3", True), ("1.19.0", False), ("2.0.1-dev", False)])
async def test_a_server_that_cannot_count_rarity_per_user_is_told_of_and_used_all_the_same(
    version: str, is_old: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = LoopbackQdrant(version=version)
    with caplog.at_level(logging.WARNING):
        async with server, opened(server) as shelf:
            await shelf.current.upsert([point(), *[point(term=2) for _ in range(9)]])
            before = await score(shelf)
            others = [point("usr_b") for _ in range(50)]
            await shelf.current.upsert(others)
            assert (await score(shelf) == pytest.approx(before)) is not is_old
    assert ("over the chunks of all users" in caplog.text) is is_old


async def test_the_key_is_sent_and_a_wrong_one_is_an_error_without_it() -> None:
    async with LoopbackQdrant(api_key=API_KEY) as server:
        async with opened(server, key=API_KEY) as shelf:
            assert await shelf.current.chunk_ids() == set()
        with pytest.raises(IndexFailedError) as raised:
            async with opened(server, key="another"):
                pass
        assert "another" not in str(raised.value)


async def test_an_index_of_another_encoding_starts_empty_and_the_old_one_is_dropped_in_time() -> None:
    async with LoopbackQdrant() as server:
        async with opened(server) as shelf:
            await shelf.current.upsert([point()])
            old = shelf.current.collection
        async with opened(server, "two") as shelf:
            assert await shelf.current.chunk_ids() == set()
            assert shelf.current.collection != old
            await shelf.abandon()
            assert [one.name for one in (await server.state.get_collections()).collections] == [
                shelf.current.collection
            ]


async def test_what_another_name_begins_with_is_left_alone() -> None:
    async with LoopbackQdrant() as server, opened(server) as shelf:
        other = "parley_notes"
        await server.state.create_collection(other, vectors_config={})
        await shelf.abandon()
        assert await server.state.collection_exists(other)


async def test_a_process_goes_on_in_the_generation_that_another_one_promoted() -> None:
    async with LoopbackQdrant() as server, opened(server) as one, opened(server) as two:
        mine, others = Generations(one), Generations(two)
        await mine.upsert([point()])
        await two.begin(SPACE)
        await others.upsert([point(), point()])
        await two.promote()
        query = IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 10)
        assert len(await mine.search(query)) == 2
        assert mine.space == SPACE
        await mine.upsert([point()])
        assert len(await others.search(query)) == 3


async def test_a_server_that_is_away_fails_and_one_that_is_back_answers() -> None:
    server = LoopbackQdrant()
    async with server, opened(server) as shelf:
        await shelf.current.upsert([point()])
        await server.__aexit__()
        with pytest.raises(IndexFailedError):
            await score(shelf)
        await server.__aenter__()
        assert await _in_time(shelf) > 0


async def _in_time(shelf: QdrantIndexShelf) -> float:
    """The channel needs a moment to connect again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await score(shelf)
            except IndexFailedError:
                await asyncio.sleep(0.05)
