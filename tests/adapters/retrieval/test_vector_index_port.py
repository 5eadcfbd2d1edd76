"""The suite of the ports `VectorIndex` and `IndexShelf`: every adapter runs the whole of it, and a further one is a row of `OPEN`."""

from __future__ import annotations

import asyncio
import os
import uuid
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from parley_retrieval.adapters.edge_index_shelf import EdgeIndexShelf
from parley_retrieval.adapters.qdrant_index_shelf import QdrantIndexShelf, open_qdrant_client
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.documents import MediaType, sha256
from parley_retrieval.domain.errors import SpaceChangedError
from parley_retrieval.domain.fusion import fused
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.domain.narrowing import Narrowing
from parley_retrieval.domain.visibility import SHARED_OWNER, Visibility
from parley_retrieval.ports.vector_index import Index, IndexPoint, IndexQuery, IndexShelf, ScoredPoint
from parley_testing.loopback_qdrant import LoopbackQdrant
from qdrant_client import AsyncQdrantClient

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

SPACE = Space("vectors", 4)


@asynccontextmanager
async def edge(folder: Path) -> AsyncIterator[IndexShelf]:
    shelf = EdgeIndexShelf(folder / "index", "test encoding")
    await shelf.open()
    try:
        yield shelf
    finally:
        await shelf.close()


@asynccontextmanager
async def qdrant_local(folder: Path) -> AsyncIterator[IndexShelf]:
    async with _local(AsyncQdrantClient(path=str(folder / "local"))) as shelf:
        yield shelf


@asynccontextmanager
async def qdrant_in_memory(_: Path) -> AsyncIterator[IndexShelf]:
    async with _local(AsyncQdrantClient(":memory:")) as shelf:
        yield shelf


@asynccontextmanager
async def _local(client: AsyncQdrantClient) -> AsyncIterator[IndexShelf]:
    shelf = QdrantIndexShelf(client, "parley", "test encoding", is_server=False)
    await shelf.open()
    try:
        yield shelf
    finally:
        await shelf.close()


_servers: dict[Path, LoopbackQdrant] = {}


@asynccontextmanager
async def qdrant_server(folder: Path) -> AsyncIterator[IndexShelf]:
    """A real server when there is one, else the loopback, which lives as long as the test's folder is used."""
    real = os.environ.get("PARLEY_TEST_QDRANT_URL", "")
    if real:
        yield_url, name = real, f"parley_test_{sha256(str(folder))[:12]}"
        async with _served(yield_url, name) as shelf:
            yield shelf
        return
    server = _servers.setdefault(folder, LoopbackQdrant())
    async with server, _served(server.url, "parley") as shelf:
        yield shelf


@asynccontextmanager
async def _served(url: str, name: str) -> AsyncIterator[IndexShelf]:
    shelf = QdrantIndexShelf(open_qdrant_client(url, ""), name, "test encoding")
    await shelf.open()
    try:
        yield shelf
    finally:
        await shelf.close()


FRESH = {"edge": edge, "qdrant local": qdrant_in_memory, "qdrant server": qdrant_server}
"""An index for one test. The local mode writes each point to the disk with a transaction of its own, which takes a minute here."""
OPEN: dict[str, Callable[[Path], AbstractAsyncContextManager[IndexShelf]]] = {
    "edge": edge,
    "qdrant local": qdrant_local,
    "qdrant server": qdrant_server,
}


@pytest.fixture(params=list(FRESH))
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[IndexShelf]:
    async with FRESH[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
async def index(shelf: IndexShelf) -> Index:
    """The generation that answers: one with meanings."""
    await shelf.begin(SPACE)
    await shelf.promote()
    return shelf.current


def point(
    terms: dict[int, float],
    owner_id: str = "usr_a",
    document_id: str = "doc_1",
    project: str = "",
    chunk_id: UUID | None = None,
    **more: Any,
) -> IndexPoint:
    return IndexPoint(
        chunk_id=chunk_id or uuid.uuid4(),
        owner_id=owner_id,
        document_id=document_id,
        project=project,
        number=more.pop("number", 0),
        content_sha256="0" * 64,
        terms=SparseVector(tuple(terms), tuple(terms.values())),
        **more,
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


async def test_points_that_are_weighed_anew_keep_what_else_they_have(index: Index) -> None:
    light, heavy = point({1: 1.0}, document_id="doc_light", meaning=meaning(1, 0, 0, 0)), point({1: 2.0})
    await index.upsert([light, heavy])
    assert await found(index, 1) == [heavy.chunk_id, light.chunk_id]
    other = SparseVector((1, 2), (3.0, 1.0))
    await index.weigh("doc_light", {light.chunk_id: other, heavy.chunk_id: other, uuid.uuid4(): other})
    assert await found(index, 1) == [light.chunk_id, heavy.chunk_id]
    assert await found(index, 2) == [light.chunk_id], "a point of another document is left alone"
    near = await index.search(IndexQuery(Visibility("usr_a"), None, 10, meaning=meaning(1, 0, 0, 0)))
    assert [one.chunk_id for one in near] == [light.chunk_id]
    assert near[0].document_id == "doc_light"


async def test_removed_points_are_gone_and_removing_them_again_is_no_error(index: Index) -> None:
    gone, kept = point({1: 1.0}), point({1: 1.0})
    await index.upsert([gone, kept])
    for _ in range(2):
        await index.remove({gone.chunk_id})
        assert await found(index, 1) == [kept.chunk_id]


async def test_the_points_of_a_document_are_told(index: Index) -> None:
    points = [point({1: 1.0}, document_id="doc_many") for _ in range(1_100)]
    await index.upsert([*points, point({1: 1.0}, document_id="doc_other")])
    assert await index.chunks_of_document("doc_many") == {one.chunk_id for one in points}
    assert await index.chunks_of_document("doc_none") == set()
    assert len(await index.chunk_ids()) == 1_101


async def test_the_points_of_owners_are_told_and_no_others(index: Index) -> None:
    own = [point({1: 1.0}, "usr_a") for _ in range(1_010)]
    items, other, shared = point({1: 1.0}, "usr_a/items"), point({1: 1.0}, "usr_b"), point({1: 1.0}, SHARED_OWNER)
    await index.upsert([*own, items, other, shared])
    assert await index.chunks_of_owners(["usr_a"]) == {one.chunk_id for one in own}
    assert await index.chunks_of_owners(["usr_b", "usr_a/items"]) == {items.chunk_id, other.chunk_id}
    assert await index.chunks_of_owners(["usr_c"]) == set()
    assert await index.chunks_of_owners([]) == set()


async def test_items_are_seen_only_when_they_are_asked_for(index: Index) -> None:
    document, item, others = point({1: 1.0}), point({1: 2.0}, "usr_a/items"), point({1: 3.0}, "usr_b/items")
    await index.upsert([document, item, others])
    assert await found(index, 1) == [document.chunk_id]
    with_items = Visibility("usr_a", include_items=True)
    assert await found(index, 1, visibility=with_items) == [item.chunk_id, document.chunk_id]


async def test_a_reset_index_is_empty_and_takes_points(index: Index) -> None:
    await index.upsert([point({1: 1.0})])
    await index.reset()
    assert await index.chunk_ids() == set()
    new = point({1: 1.0})
    await index.upsert([new])
    assert await found(index, 1) == [new.chunk_id]


@pytest.mark.parametrize("shelf", ["edge", "qdrant server"], indirect=True)  # The local mode is not asynchronous.
async def test_searches_go_on_while_points_are_written(index: Index) -> None:
    first = point({1: 1.0})
    await index.upsert([first])
    points = [point({2: 1.0}, "usr_b") for _ in range(1_280)]
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
    async with OPEN[name](tmp_path) as shelf:
        await shelf.begin(SPACE)
        await shelf.promote()
        await shelf.current.upsert([one])
        await shelf.current.flush()
    async with OPEN[name](tmp_path) as shelf:
        assert shelf.current.space == SPACE
        assert await found(shelf.current, 1) == [one.chunk_id]


def generations(shelf: IndexShelf) -> tuple[Space | None, Index | None]:
    """The space of the one that answers, and the one that is being made."""
    return shelf.current.space, shelf.next


def meaning(*values: float, space: Space = SPACE) -> DenseVector:
    return DenseVector(space, array("f", values))


def place_of(points: list[IndexPoint], scored: Sequence[ScoredPoint]) -> list[int]:
    ids = [one.chunk_id for one in points]
    return [ids.index(one.chunk_id) for one in scored]


async def test_points_are_found_by_meaning_the_nearest_first_and_none_that_points_away(index: Index) -> None:
    points = [
        point({1: 1.0}, meaning=meaning(1, 0.5, 0, 0)),
        point({2: 1.0}, meaning=meaning(1, 0.1, 0, 0)),
        point({1: 1.0}, meaning=meaning(-1, 0, 0, 0)),
        point({1: 1.0}),
        point({1: 1.0}, "usr_b", meaning=meaning(1, 0, 0, 0)),
    ]
    await index.upsert(points)
    scored = await index.search(IndexQuery(Visibility("usr_a"), None, 10, meaning=meaning(1, 0, 0, 0)))
    assert place_of(points, scored) == [1, 0]
    assert scored[0].score > scored[1].score > 0


async def test_words_and_meaning_are_fused_by_their_scores(index: Index) -> None:
    points = [
        point({1: 2.0}, number=0, document_id="doc_9", meaning=meaning(0.6, 1, 0, 0)),
        point({1: 1.0}, number=7, document_id="doc_8", meaning=meaning(1, 0, 0, 0)),
        point({1: 0.5}, meaning=meaning(0.1, 1, 0, 0)),
        point({2: 1.0}, meaning=meaning(0.9, 0.2, 0, 0)),
    ]
    await index.upsert(points)
    query = IndexQuery(Visibility("usr_a"), SparseVector((1,), (1.0,)), 10, meaning=meaning(1, 0, 0, 0))
    scored = await index.search(query)
    # By words 0, 1, 2; by meaning 1, 3, 0, 2. The cosines are known.
    near = fused({}, {0: 0.6 / 1.36**0.5, 1: 1.0, 2: 0.1 / 1.01**0.5, 3: 0.9 / 0.85**0.5})
    expected = {0: 0.6 + near[0], 1: 0.3 + near[1], 2: 0.15 + near[2], 3: near[3]}
    assert place_of(points, scored) == [0, 1, 3, 2]
    assert [one.score for one in scored] == pytest.approx([expected[place] for place in (0, 1, 3, 2)], rel=1e-4)
    assert (scored[1].document_id, scored[1].number) == ("doc_8", 7)
    assert place_of(points, await index.search(replace(query, limit=2))) == [0, 1]


async def test_nuances_tell_points_apart_beside_meaning_too(index: Index) -> None:
    points = [point({1: 1.0}), point({1: 1.0, 2: 1.0}), point({2: 3.0}), point({3: 1.0}, meaning=meaning(1, 0, 0, 0))]
    await index.upsert(points)
    query = IndexQuery(
        Visibility("usr_a"),
        SparseVector((1,), (1.0,)),
        10,
        nuances=SparseVector((2,), (0.1,)),
        meaning=meaning(1, 0, 0, 0),
    )
    places = place_of(points, await index.search(query))
    assert sorted(places) == [0, 1, 3]
    assert places.index(1) < places.index(0)


NARROWINGS: list[tuple[Narrowing, set[int]]] = [
    (Narrowing(), {0, 1, 2, 3}),
    (Narrowing(project="apollo"), {0, 1}),
    (Narrowing(document_ids=("doc_0", "doc_3", "doc_none")), {0, 3}),
    (Narrowing(media_types=(MediaType.PDF, MediaType.HTML)), {1, 2}),
    (Narrowing(labels={"team": "red"}), {0, 2}),
    (Narrowing(labels={"team": "red", "year": "1999"}), {2}),
    (Narrowing(labels={"team": ""}), {3}),
    (Narrowing(update_time_from=datetime(2024, 1, 2, tzinfo=UTC)), {1, 2, 3}),
    (Narrowing(update_time_until=datetime(2024, 1, 2, tzinfo=UTC)), {0}),
    (
        Narrowing(
            update_time_from=datetime(2024, 1, 2, 0, 0, 0, 1, tzinfo=UTC),
            update_time_until=datetime(2024, 1, 4, tzinfo=UTC),
        ),
        {2},
    ),
    (Narrowing(project="apollo", labels={"team": "blue"}), {1}),
    (Narrowing(project="mercury"), set()),
]


@pytest.mark.parametrize("by", ["words", "meaning", "both"])
async def test_only_documents_that_fit_the_narrowing_are_looked_at(index: Index, by: str) -> None:
    labels: list[dict[str, str]] = [{"team": "red"}, {"team": "blue"}, {"team": "red", "year": "1999"}, {"team": ""}]
    kinds = [MediaType.MARKDOWN, MediaType.PDF, MediaType.HTML, MediaType.MARKDOWN]
    points = [
        point(
            {1: 1.0 + place},
            document_id=f"doc_{place}",
            project="apollo" if place < 2 else "",
            meaning=meaning(1, 0.1 * place, 0, 0),
            media_type=kinds[place],
            labels=labels[place],
            update_time=datetime(2024, 1, 1 + place, tzinfo=UTC),
        )
        for place in range(4)
    ]
    await index.upsert(points)
    for narrowing, expected in NARROWINGS:
        query = IndexQuery(
            Visibility("usr_a"),
            None if by == "meaning" else SparseVector((1,), (1.0,)),
            10,
            narrowing,
            meaning=None if by == "words" else meaning(1, 0, 0, 0),
        )
        assert set(place_of(points, await index.search(query))) == expected, narrowing


async def test_what_lacks_its_meaning_is_told_until_it_is_written_with_it(index: Index) -> None:
    whole, without = point({1: 1.0}, meaning=meaning(1, 0, 0, 0)), point({1: 1.0})
    foreign = point({1: 1.0}, meaning=meaning(1, 0, space=Space("others", 2)))
    await index.upsert([whole, without, foreign])
    assert await index.chunk_ids_without_meaning() == {without.chunk_id, foreign.chunk_id}
    await index.upsert([replace(without, meaning=meaning(0, 1, 0, 0))])
    assert await index.chunk_ids_without_meaning() == {foreign.chunk_id}
    await index.upsert([replace(whole, meaning=None)])
    assert await index.chunk_ids_without_meaning() == {foreign.chunk_id, whole.chunk_id}


async def test_a_question_of_another_space_is_refused(index: Index) -> None:
    for space in (Space("others", 4), Space("vectors", 3)):
        foreign = meaning(*[1.0] * space.dimensions, space=space)
        with pytest.raises(SpaceChangedError):
            await index.search(IndexQuery(Visibility("usr_a"), None, 1, meaning=foreign))


async def test_a_new_shelf_has_an_index_of_words_alone(shelf: IndexShelf) -> None:
    one = point({1: 1.0}, meaning=meaning(1, 0, 0, 0))
    await shelf.current.upsert([one])
    assert shelf.current.space is None
    assert shelf.next is None
    assert await found(shelf.current, 1) == [one.chunk_id]
    assert await shelf.current.chunk_ids_without_meaning() == {one.chunk_id}


async def test_the_next_generation_is_made_beside_the_one_that_answers(shelf: IndexShelf) -> None:
    old, new = point({1: 1.0}), point({1: 1.0}, meaning=meaning(1, 0, 0, 0))
    await shelf.current.upsert([old])
    await shelf.begin(SPACE)
    assert shelf.next is not None
    await shelf.next.upsert([new])
    assert await found(shelf.current, 1) == [old.chunk_id]
    await shelf.promote()
    assert generations(shelf) == (SPACE, None)
    assert await found(shelf.current, 1) == [new.chunk_id]


async def test_an_abandoned_generation_is_begun_from_nothing(shelf: IndexShelf) -> None:
    await shelf.begin(SPACE)
    assert shelf.next is not None
    await shelf.next.upsert([point({1: 1.0})])
    await shelf.abandon()
    assert generations(shelf) == (None, None)
    await shelf.begin(SPACE)
    assert shelf.next is not None
    assert await shelf.next.chunk_ids() == set()


@pytest.mark.parametrize("name", list(OPEN))
async def test_a_generation_that_was_being_made_is_gone_on_with(name: str, tmp_path: Path) -> None:
    old, new = point({1: 1.0}), point({1: 1.0}, meaning=meaning(1, 0, 0, 0))
    async with OPEN[name](tmp_path) as shelf:
        await shelf.current.upsert([old])
        await shelf.begin(SPACE)
        assert shelf.next is not None
        await shelf.next.upsert([new])
    async with OPEN[name](tmp_path) as shelf:
        assert shelf.next is not None, "no write may pass it by from the start on"
        assert shelf.next.space == SPACE
        await shelf.begin(SPACE)
        assert await shelf.next.chunk_ids() == {new.chunk_id}
        assert await found(shelf.current, 1) == [old.chunk_id]
        other = Space("others", 2)
        await shelf.begin(other)
        await shelf.promote()
    async with OPEN[name](tmp_path) as shelf:
        assert generations(shelf) == (other, None)


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
