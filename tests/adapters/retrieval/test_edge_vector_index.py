"""What only the embedded index has: a folder, which can be lost, broken, foreign, or somebody else's."""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from parley_retrieval.adapters.edge_vector_index import EdgeVectorIndex
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.errors import IndexFailedError, IndexInUseError
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.ports.vector_index import IndexPoint, IndexQuery
from qdrant_edge import Bm25, Bm25Config


@asynccontextmanager
async def opened(folder: Path, encoding: str = "one") -> AsyncIterator[EdgeVectorIndex]:
    index = EdgeVectorIndex(folder, encoding)
    await index.open()
    try:
        yield index
    finally:
        await index.close()


def point() -> IndexPoint:
    return IndexPoint(uuid.uuid4(), "usr_a", "doc_1", "", 0, "0" * 64, SparseVector((1,), (1.0,)))


async def test_a_second_opener_is_told_so_and_harms_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.upsert([point()])
        second = EdgeVectorIndex(tmp_path, "one")
        with pytest.raises(IndexInUseError):
            await second.open()
        await second.close()
        assert len(await index.chunk_ids()) == 1


async def test_an_index_of_another_encoding_starts_empty(tmp_path: Path) -> None:
    async with opened(tmp_path, "one") as index:
        await index.upsert([point()])
    async with opened(tmp_path, "two") as index:
        assert await index.chunk_ids() == set()
    async with opened(tmp_path, "two") as index:
        await index.upsert([point()])
    async with opened(tmp_path, "two") as index:
        assert len(await index.chunk_ids()) == 1


def _break_every_file(folder: Path, pattern: str) -> None:
    broken = [path for path in folder.rglob(pattern) if path.is_file()]
    assert broken
    for path in broken:
        path.write_bytes(b"\x07" * 512)


@pytest.mark.parametrize("pattern", ["about.json", "shard/edge_config.json", "shard/segments/**/*", "shard/wal/*"])
async def test_a_broken_index_opens_empty_and_takes_points(tmp_path: Path, pattern: str) -> None:
    async with opened(tmp_path) as index:
        await index.upsert([point() for _ in range(200)])
        await index.flush()
    _break_every_file(tmp_path, pattern)
    async with opened(tmp_path) as index:
        try:
            await index.chunk_ids()
        except IndexFailedError:
            await index.reset()
        one = point()
        await index.upsert([one])
        assert one.chunk_id in await index.chunk_ids()


async def test_what_a_killed_optimizer_left_is_thrown_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.upsert([point()])
    left = tmp_path / "shard" / "temp_segments" / "left"
    left.mkdir(parents=True)
    async with opened(tmp_path) as index:
        assert len(await index.chunk_ids()) == 1
    assert not left.exists()


async def test_calls_after_closing_fail_and_do_not_hang(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        pass
    with pytest.raises(RuntimeError):
        await index.search(IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 1))


_WRITER = """
import asyncio, sys, uuid
from pathlib import Path
from parley_retrieval.adapters.edge_vector_index import EdgeVectorIndex
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.ports.vector_index import IndexPoint

async def main():
    index = EdgeVectorIndex(Path(sys.argv[1]), "one")
    await index.open()
    while True:
        ids = [uuid.uuid4() for _ in range(10)]
        await index.upsert([IndexPoint(i, "usr_a", "doc_1", "", 0, "0" * 64, SparseVector((1,), (1.0,))) for i in ids])
        for i in ids:
            print(i, flush=True)

asyncio.run(main())
"""


async def test_what_was_written_survives_the_death_of_the_process(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    written = {uuid.UUID((await process.stdout.readline()).decode().strip()) for _ in range(300)}
    process.send_signal(signal.SIGKILL)
    written |= {uuid.UUID(line.decode()) for line in (await process.stdout.read()).splitlines() if len(line) == 36}
    await process.wait()
    async with opened(tmp_path) as index:
        assert written <= await index.chunk_ids()


def test_terms_have_the_numbers_that_the_engine_gives_them() -> None:
    engine = Bm25(Bm25Config(language="english"))
    for word in ("provid", "parley", "index", "50053"):
        assert engine.embed_query(word).indices == [MurmurTermHash()(word)]
