"""The suite of the port `CatalogStore`, on every database that retrieval runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from parley_retrieval.adapters.sql_catalog_store import SqlCatalogStore
from parley_retrieval.adapters.sql_schema import catalog_items, catalog_labels, interactions
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import ITEMS_MOST, CatalogItem, EncodedItem, Interaction, InteractionKind
from parley_retrieval.domain.errors import CatalogItemNotFoundError, TooManyItemsError
from parley_retrieval.ports.catalog_store import CatalogState, Choice
from parley_shared.sql import Database
from sqlalchemy import func, select

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
OWNER = "usr_a"


@pytest.fixture
def store(retrieval_database: Database) -> SqlCatalogStore:
    return SqlCatalogStore(retrieval_database)


def item(item_id: str, title: str = "Title", labels: Mapping[str, str] | None = None) -> EncodedItem:
    terms = SparseVector((7, 2**32 - 1), (1.25, 0.5))
    return EncodedItem(CatalogItem(item_id, title, "naïve 漢 🙂", "category", labels or {}), terms, "bm25/1")


def did(person_id: str, item_id: str, weight: float = 1.0, name: str = "", days_ago: float = 0) -> Interaction:
    time = NOW - timedelta(days=days_ago)
    return Interaction(person_id, item_id, InteractionKind.CUSTOM, weight, time, name)


async def put(store: SqlCatalogStore, *items: EncodedItem, owner_id: str = OWNER) -> None:
    await store.put_items(owner_id, items, ITEMS_MOST)


async def popularity(store: SqlCatalogStore, item_id: str) -> tuple[float, int]:
    facts = (await store.facts(OWNER, [item_id]))[item_id]
    return facts.popularity, facts.person_count


async def test_items_come_back_as_they_were_put(store: SqlCatalogStore) -> None:
    first, second = item("Ä", labels={"a": "1", "b": "漢"}), item("b")
    await put(store, first, second)
    assert await store.items(OWNER, ["Ä", "b", "c"]) == {"Ä": first.item, "b": second.item}
    facts = await store.facts(OWNER, ["Ä", "c"])
    assert list(facts) == ["Ä"]
    assert (facts["Ä"].title, facts["Ä"].category, facts["Ä"].terms) == ("Title", "category", first.terms)
    assert await store.item_ids(OWNER) == {"Ä", "b"}


async def test_each_change_of_items_has_a_higher_version(store: SqlCatalogStore) -> None:
    assert await store.state(OWNER) == CatalogState(0, 0)
    await put(store, item("b"), item("a"))
    before = await store.state(OWNER)
    assert before.item_count == 2
    rows = await store.terms_after(OWNER, 0, 10)
    assert [row[1] for row in rows] == ["b", "a"]
    assert rows[-1][0] == before.version
    assert [row[1] for row in await store.terms_after(OWNER, 0, 1)] == ["b"]
    assert [row[1] for row in await store.terms_after(OWNER, rows[0][0], 10)] == ["a"]
    await put(store, item("b", "New"))
    assert [row[1] for row in await store.terms_after(OWNER, before.version, 10)] == ["b"]
    between = await store.state(OWNER)
    assert await store.delete_items(OWNER, ["a", "never"]) == 1
    after = await store.state(OWNER)
    assert before.version < between.version < after.version
    assert (between.item_count, after.item_count) == (2, 1)
    assert await store.delete_items(OWNER, ["a"]) == 0
    assert await store.state(OWNER) == after


async def test_puts_at_the_same_time_follow_each_other(store: SqlCatalogStore) -> None:
    await asyncio.gather(*(put(store, item("same"), item(f"i{n}")) for n in range(8)))
    rows = await store.terms_after(OWNER, 0, 100)
    assert len({row[0] for row in rows}) == len(rows) == 9
    assert (await store.state(OWNER)).item_count == 9


async def test_a_full_catalog_takes_no_more_and_can_still_be_changed(store: SqlCatalogStore) -> None:
    await store.put_items(OWNER, [item("a"), item("b")], 3)
    with pytest.raises(TooManyItemsError) as refusal:
        await store.put_items(OWNER, [item("b", "New"), item("c"), item("d")], 3)
    assert refusal.value.limit == 3
    assert await store.item_ids(OWNER) == {"a", "b"}
    assert (await store.items(OWNER, ["b"]))["b"].title == "Title"
    await store.put_items(OWNER, [item("b", "New"), item("c")], 3)
    await store.put_items(OWNER, [item("c")], 3)
    await store.put_items("usr_b", [item("d")], 3)
    assert await store.item_ids(OWNER) == {"a", "b", "c"}


async def test_items_are_found_by_all_their_labels(store: SqlCatalogStore) -> None:
    await put(store, item("a", labels={"x": "1", "y": "2"}), item("b", labels={"x": "1"}), item("c"))
    assert await store.labelled(OWNER, {"x": "1"}) == {"a", "b"}
    assert await store.labelled(OWNER, {"x": "1", "y": "2"}) == {"a"}
    assert await store.labelled(OWNER, {"x": "2"}) == set()
    await put(store, item("a", labels={"z": "3"}))
    assert await store.labelled(OWNER, {"x": "1"}) == {"b"}
    assert await store.newest(OWNER, Choice({"x": "1"}), set(), 10) == ["b"]
    assert await store.newest(OWNER, Choice(), {"b"}, 10) == ["a", "c"]


async def test_what_a_person_did_comes_back_the_newest_first(store: SqlCatalogStore) -> None:
    await put(store, item("a"), item("b"))
    old, new = did("p", "a", -2.5, "i1", days_ago=1), did("p", "b", 3)
    assert await store.record(OWNER, [old, new, did("q", "b")]) == 3
    assert await store.history(OWNER, "p", 10) == [new, old]
    assert await store.history(OWNER, "p", 1) == [new]
    assert await store.seen(OWNER, "p") == {"a", "b"}
    assert await store.seen(OWNER, "nobody") == set()


async def test_an_id_is_recorded_once_for_each_owner(store: SqlCatalogStore) -> None:
    await put(store, item("a"))
    await put(store, item("a"), owner_id="usr_b")
    assert await store.record(OWNER, [did("p", "a", name="i"), did("q", "a", name="i")]) == 1
    assert await store.record("usr_b", [did("p", "a", name="i")]) == 1
    results = await asyncio.gather(*(store.record(OWNER, [did("p", "a", name="j")]) for _ in range(6)))
    assert sorted(results) == [0] * 5 + [1]
    assert (await popularity(store, "a"))[1] == 1


async def test_an_item_that_is_not_there_stops_all_of_them(store: SqlCatalogStore) -> None:
    await put(store, item("a"))
    await put(store, item("b"), owner_id="usr_b")
    with pytest.raises(CatalogItemNotFoundError) as refusal:
        await store.record(OWNER, [did("p", "a", name="i"), did("p", "b")])
    assert refusal.value.item_id == "b"
    assert await store.history(OWNER, "p", 10) == []
    assert await popularity(store, "a") == (0, 0)


async def test_popularity_counts_people_once_and_newer_things_more(store: SqlCatalogStore) -> None:
    await put(store, item("old"), item("new"), item("disliked"), item("plain"))
    await store.record(
        OWNER, [did("p", "old", days_ago=60), did("p", "old", days_ago=60), did("q", "old", days_ago=60)]
    )
    await store.record(OWNER, [did("p", "old", days_ago=60), did("p", "new"), did("p", "disliked", -3)])
    assert (await popularity(store, "old"))[1] == 2
    assert (await popularity(store, "old"))[0] == pytest.approx((await popularity(store, "new"))[0])
    assert await popularity(store, "disliked") == (0, 0)
    await store.record(OWNER, [did("q", "new")])
    assert await store.popular(OWNER, Choice(), 10) == ["new", "old"]
    assert await store.popular(OWNER, Choice(unseen_by="q"), 10) == []
    assert await store.popular(OWNER, Choice(unseen_by="r"), 1) == ["new"]
    await put(store, item("new", "Another title"))
    assert (await popularity(store, "new"))[1] == 2, "new words do not take its people away"


async def test_companions_are_what_others_chose_too(store: SqlCatalogStore) -> None:
    await put(store, *(item(name) for name in "abcd"))
    await store.record(OWNER, [did("me", "a"), did("me", "d"), did("p", "a"), did("p", "b"), did("p", "b")])
    await store.record(OWNER, [did("q", "a", days_ago=9), did("q", "c", days_ago=9), did("r", "a", -1), did("r", "d")])
    pairs = await store.companions(OWNER, "me", ["a"], people=10, limit=10)
    assert sorted(pairs) == [("p", "a"), ("p", "b"), ("q", "a"), ("q", "c")]
    assert {person for person, _ in await store.companions(OWNER, "me", ["a"], people=1, limit=10)} == {"p"}
    assert len(await store.companions(OWNER, "me", ["a"], people=10, limit=3)) == 3
    assert await store.companions("usr_b", "me", ["a"], people=10, limit=10) == []


async def test_nothing_is_left_of_a_deleted_person_or_item(
    store: SqlCatalogStore, retrieval_database: Database
) -> None:
    await put(store, item("a", labels={"x": "1"}), item("b"))
    await store.record(OWNER, [did("p", "a", 0.1), did("p", "a", 0.2), did("p", "b", -1), did("q", "a", 0.7)])
    others = (await popularity(store, "a"))[0]
    assert await store.delete_person(OWNER, "q") == 1
    assert (await popularity(store, "a"))[0] < others
    assert (await popularity(store, "a"))[1] == 1
    assert await store.delete_person("usr_b", "p") == 0
    assert await store.delete_person(OWNER, "p") == 3
    assert await popularity(store, "a") == (0, 0)
    await store.record(OWNER, [did("p", "a", name="i")])
    assert await store.delete_items(OWNER, ["a", "b"]) == 2
    async with retrieval_database.read() as connection:
        for table in (catalog_items, catalog_labels, interactions):
            assert await connection.scalar(select(func.count()).select_from(table)) == 0
    await put(store, item("a"))
    assert await store.record(OWNER, [did("p", "a", name="i")]) == 1, "its name went with it"


async def test_owners_do_not_see_each_other(store: SqlCatalogStore) -> None:
    await put(store, item("a", labels={"x": "1"}))
    await store.record(OWNER, [did("p", "a")])
    assert await store.state("usr_b") == CatalogState()
    assert await store.terms_after("usr_b", 0, 10) == []
    assert await store.items("usr_b", ["a"]) == {}
    assert await store.facts("usr_b", ["a"]) == {}
    assert await store.labelled("usr_b", {"x": "1"}) == set()
    assert await store.history("usr_b", "p", 10) == []
    assert await store.seen("usr_b", "p") == set()
    assert await store.popular("usr_b", Choice(), 10) == []
    assert await store.newest("usr_b", Choice(), set(), 10) == []
    assert await store.delete_items("usr_b", ["a"]) == 0
    assert await store.item_ids(OWNER) == {"a"}


async def test_terms_of_another_encoding_are_replaced_unless_the_item_changed(store: SqlCatalogStore) -> None:
    await put(store, item("a"), item("b"))
    before = await store.state(OWNER)
    assert await store.encoded_otherwise("bm25/1", 10) == []
    rows = await store.encoded_otherwise("bm25/2", 10)
    assert sorted((owner, found.item_id) for owner, found in rows) == [(OWNER, "a"), (OWNER, "b")]
    await put(store, item("b", "Changed"))
    for _, found in rows:
        await store.encode(OWNER, found, EncodedItem(found, SparseVector((1,), (1.0,)), "bm25/2"))
    facts = await store.facts(OWNER, ["a", "b"])
    assert facts["a"].terms == SparseVector((1,), (1.0,))
    assert facts["b"].terms == item("b").terms
    assert [found.item_id for _, found in await store.encoded_otherwise("bm25/2", 10)] == ["b"]
    assert "a" in [row[1] for row in await store.terms_after(OWNER, before.version, 10)]


async def test_a_thousand_interactions_of_the_longest_names_are_taken(store: SqlCatalogStore) -> None:
    ids = [f"{n:03}" + "🎈" * 97 for n in range(100)]
    await put(store, *(item(item_id, labels={"x" * 64: "🎈" * 500}) for item_id in ids))
    done = [did(f"{n:04}" + "🎈" * 96, ids[n % 100], name=f"{n:04}" + "🎈" * 96) for n in range(1_000)]
    assert await store.record(OWNER, done) == 1_000
    assert await store.record(OWNER, done) == 0
    assert (await popularity(store, ids[0]))[1] == 10
