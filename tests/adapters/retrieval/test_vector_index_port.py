"""The suite of the port `VectorIndex`: every adapter runs the whole of it. A further adapter is a further row of `OPEN`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import UUID

import pytest
from parley_retrieval.adapters.edge_vector_index import EdgeVectorIndex
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.narrowing import Narrowing
from parley_retrieval.domain.visibility import SHARED_OWNER, Visibility
from parley_retrieval.ports.vector_index import IndexPoint, IndexQuery, IndexUpkeep, VectorIndex


class Index(VectorIndex, IndexUpkeep, Protocol):
    """Both sides of an index."""


@asynccontextmanager
async def edge(folder: Path) -> AsyncIterator[Index]:
    index = EdgeVectorIndex(folder, "test encoding")
    await index.open()
    try:
        yield index
    finally:
        await index.close()


OPEN: dict[str, Callable[[Path], AbstractAsyncContextManager[Index]]] = {"edge": edge}


@pytest.fixture(params=list(OPEN))
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    async with OPEN[request.param](tmp_path / "index") as opened:
        yield opened


def point(
    terms: dict[int, float],
    owner_id: str = "usr_a",
    document_id: str = "doc_1",
    project: str = "",
    chunk_id: UUID | None = None,
) -> IndexPoint:
    return IndexPoint(
        chunk_id=chunk_id or uuid.uuid4(),
        owner_id=owner_id,
        document_id=document_id,
        project=project,
        number=0,
        content_sha256="0" * 64,
        terms=SparseVector(tuple(terms), tuple(terms.values())),
    )


async def found(
    index: Index, *terms: int, visibility: Visibility | None = None, limit: int = 10, project: str = ""
) -> list[UUID]:
    vector = SparseVector(terms, (1.0,) * len(terms))
    query = IndexQuery(visibility or Visibility("usr_a"), vector, limit, Narrowing(project=project))
    return [scored.chunk_id for scored in await index.search(query)]


async def test_an_empty_index_answers_nothing(index: Index) -> None:
    assert await found(index, 1) == []
    assert await index.chunk_ids() == set()


async def test_what_was_written_is_found_best_first(index: Index) -> None:
    weak, strong, other = point({1: 0.5}), point({1: 1.5}), point({2: 1.0})
    await index.upsert([weak, strong, other])
    assert await found(index, 1) == [strong.chunk_id, weak.chunk_id]
    assert await found(index, 1, limit=1) == [strong.chunk_id]


async def test_scores_are_above_zero_and_fall(index: Index) -> None:
    await index.upsert([point({1: 0.5}), point({1: 1.5}), point({2: 1.0})])
    scores = [one.score for one in await index.search(IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 9))]
    assert len(scores) == 2
    assert scores[0] > scores[1] > 0


async def test_a_user_finds_the_own_points_and_the_shared_ones_and_nothing_else(index: Index) -> None:
    own, shared = point({1: 1.0}), point({1: 0.5}, SHARED_OWNER)
    await index.upsert([own, shared, point({1: 2.0}, "usr_b")])
    assert await found(index, 1) == [own.chunk_id, shared.chunk_id]
    assert await found(index, 1, visibility=Visibility("usr_a", include_shared=False)) == [own.chunk_id]
    assert await found(index, 1, visibility=Visibility("usr_c", include_shared=False)) == []


async def test_a_project_narrows_the_search(index: Index) -> None:
    inside = point({1: 1.0}, project="apollo")
    await index.upsert([inside, point({1: 2.0}, project="gemini"), point({1: 2.0})])
    assert await found(index, 1, project="apollo") == [inside.chunk_id]
    assert await found(index, 1, project="mercury") == []


async def test_a_term_is_rare_when_it_is_rare_among_what_the_user_sees(index: Index) -> None:
    # For user a term 1 is rare and term 2 common; all that user b has says the opposite.
    rare, common = point({1: 1.0}), [point({2: 1.0}) for _ in range(20)]
    others = [point({1: 1.0}, "usr_b") for _ in range(500)]
    await index.upsert([rare, *common, *others])
    assert (await found(index, 1, 2))[0] == rare.chunk_id
    with_b = (await index.search(IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 1)))[0].score
    await index.remove({one.chunk_id for one in others})
    without_b = (await index.search(IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 1)))[0].score
    assert with_b == pytest.approx(without_b)


async def test_nuances_tell_points_that_fit_apart_and_make_none_fit(index: Index) -> None:
    plain, nuanced, beside = point({1: 1.0}), point({1: 1.0, 2: 1.0}), point({2: 3.0})
    others = [point({2: 3.0}, "usr_b"), point({2: 3.0}, project="other")]
    await index.upsert([plain, nuanced, beside, *others])
    nuance = SparseVector((2,), (0.1,))
    query = IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 10, nuances=nuance)
    assert [one.chunk_id for one in await index.search(query)] == [nuanced.chunk_id, plain.chunk_id]
    assert [one.chunk_id for one in await index.search(replace(query, limit=1))] == [nuanced.chunk_id]
    assert await index.search(replace(query, narrowing=Narrowing(project="other"))) == []


async def test_writing_a_point_again_replaces_it(index: Index) -> None:
    first = point({1: 1.0})
    await index.upsert([first])
    await index.upsert([point({2: 1.0}, chunk_id=first.chunk_id)])
    assert await found(index, 1) == []
    assert await found(index, 2) == [first.chunk_id]
    assert await index.chunk_ids() == {first.chunk_id}


async def test_removed_points_are_gone_and_removing_them_again_is_no_error(index: Index) -> None:
    gone, kept = point({1: 1.0}), point({1: 1.0})
    await index.upsert([gone, kept])
    for _ in range(2):
        await index.remove({gone.chunk_id})
        assert await found(index, 1) == [kept.chunk_id]


async def test_the_points_of_a_document_are_told(index: Index) -> None:
    points = [point({1: 1.0}, document_id="doc_many") for _ in range(1_500)]
    await index.upsert([*points, point({1: 1.0}, document_id="doc_other")])
    assert await index.chunks_of_document("doc_many") == {one.chunk_id for one in points}
    assert await index.chunks_of_document("doc_none") == set()
    assert len(await index.chunk_ids()) == 1_501


async def test_a_reset_index_is_empty_and_takes_points(index: Index) -> None:
    await index.upsert([point({1: 1.0})])
    await index.reset()
    assert await index.chunk_ids() == set()
    new = point({1: 1.0})
    await index.upsert([new])
    assert await found(index, 1) == [new.chunk_id]


async def test_searches_go_on_while_points_are_written(index: Index) -> None:
    first = point({1: 1.0})
    await index.upsert([first])
    points = [point({2: 1.0}, "usr_b") for _ in range(5_000)]
    answers: list[list[UUID]] = []
    written = asyncio.Event()

    async def ask() -> None:
        while not written.is_set():
            answers.append(await found(index, 1))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask())
        await index.upsert(points)
        written.set()
    assert len(answers) > 5
    assert all(answer == [first.chunk_id] for answer in answers)


@pytest.mark.parametrize("name", list(OPEN))
async def test_an_index_that_was_closed_is_found_again(name: str, tmp_path: Path) -> None:
    one = point({1: 1.0})
    async with OPEN[name](tmp_path / "index") as index:
        await index.upsert([one])
        await index.flush()
    async with OPEN[name](tmp_path / "index") as index:
        assert await found(index, 1) == [one.chunk_id]


def test_no_point_and_no_query_without_a_user_can_be_made() -> None:
    with pytest.raises(ValueError, match="owner"):
        point({1: 1.0}, owner_id="")
    with pytest.raises(ValueError, match="terms"):
        point({})
    with pytest.raises(ValueError, match="user"):
        IndexQuery(Visibility(""), SparseVector((1,), (1.0,)), 1)
    with pytest.raises(ValueError, match="terms"):
        IndexQuery(Visibility("usr_a"), SparseVector((), ()), 1)
    with pytest.raises(ValueError, match="nuance"):
        IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 1, nuances=SparseVector((1,), (1.0,)))
