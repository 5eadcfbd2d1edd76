"""The suite of the port `ItemStore`, and of the journal over documents and items, on every database that retrieval runs on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_index_journal import SqlIndexJournal
from parley_retrieval.adapters.sql_item_store import SqlItemStore
from parley_retrieval.domain.chunks import Chunk, chunk_id
from parley_retrieval.domain.documents import Document, MediaType, new_document_id, sha256
from parley_retrieval.domain.errors import ItemOutdatedError
from parley_retrieval.domain.items import Item, ItemVersion, document_of, item_document_id
from parley_shared.sql import Database

TIME = datetime(2025, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


@pytest.fixture
def store(retrieval_database: Database) -> SqlItemStore:
    return SqlItemStore(retrieval_database)


def item(item_id: str = "tsk_1", version: int = 1, user_id: str = "usr_a", text: str = "one two") -> Item:
    return Item(user_id, ItemVersion("task", item_id, version), "Title", text, "apollo", TIME)


def chunks_of(whole: Item, count: int = 2) -> list[Chunk]:
    document = document_of(whole)
    text = document.text or ""
    return [
        Chunk(chunk_id(document, number), number, number, number + 1, "A › B", text[number : number + 1])
        for number in range(count)
    ]


async def put(store: SqlItemStore, *items: Item) -> None:
    for one in items:
        await store.put(one, chunks_of(one))


async def test_an_item_comes_back_as_it_was_put(store: SqlItemStore) -> None:
    one = replace(item(version=(1 << 63) - 1, text="naïve 漢 🙂"), title="T")
    await put(store, one)
    assert await store.document(one.document_id) == document_of(one)
    assert await store.chunks(one.document_id) == chunks_of(one)
    assert await store.versions([one.document_id, "itm_none"]) == {one.document_id: one.named.version}
    assert await store.page("usr_a", "", 10) == [one.named]
    (first, second) = sorted(
        await store.passages("usr_a", [chunk.chunk_id for chunk in chunks_of(one)]),
        key=lambda found: found.chunk.number,
    )
    assert [first.chunk, second.chunk] == chunks_of(one)
    assert (first.document_id, first.document_title, first.item_type) == ("tsk_1", "T", "task")
    assert (first.document_version, first.shared) == (0, False)


async def test_only_a_newer_version_replaces_an_item(store: SqlItemStore) -> None:
    await put(store, item(version=2))
    for version in (1, 2):
        with pytest.raises(ItemOutdatedError):
            await put(store, item(version=version, text="three four"))
    assert await store.chunks(item().document_id) == chunks_of(item())
    newer = item(version=3, text="three four")
    await put(store, newer)
    assert await store.document(newer.document_id) == document_of(newer)
    assert await store.chunk_documents() == {chunk.chunk_id: newer.document_id for chunk in chunks_of(newer)}


async def test_of_a_deleted_item_nothing_is_left_but_its_version(store: SqlItemStore) -> None:
    await put(store, item(), item("tsk_2"))
    assert await store.delete("usr_a", ItemVersion("task", "tsk_1", 1)) is False
    assert await store.delete("usr_a", ItemVersion("task", "tsk_1", 4)) is True
    assert await store.delete("usr_a", ItemVersion("task", "tsk_1", 5)) is False
    assert await store.delete("usr_a", ItemVersion("task", "tsk_9", 5)) is False
    assert await store.document(item().document_id) is None
    assert await store.chunks(item().document_id) == []
    assert await store.page("usr_a", "", 10) == [item("tsk_2").named]
    for late in (item(version=5), item("tsk_9", version=5)):
        with pytest.raises(ItemOutdatedError):
            await put(store, late)
    await put(store, item("tsk_9", version=6))
    assert len(await store.page("usr_a", "", 10)) == 2


@pytest.mark.parametrize("round_", range(3))
async def test_of_writes_at_the_same_time_the_newest_version_stays(store: SqlItemStore, round_: int) -> None:
    items = [item(version=version, text=f"{version} text") for version in (3, 1, 7, 5, 2, 6, 4)]
    writes = [store.put(one, chunks_of(one, count=1 + one.named.version % 3)) for one in items]
    outcomes = await asyncio.gather(
        *writes, store.delete("usr_a", ItemVersion("task", "tsk_1", 8 if round_ else 3)), return_exceptions=True
    )
    assert all(isinstance(outcome, ItemOutdatedError | bool | None) for outcome in outcomes), outcomes
    newest = items[2]
    if round_:
        assert await store.page("usr_a", "", 10) == []
        assert await store.chunk_documents() == {}
    else:
        assert await store.document(newest.document_id) == document_of(newest)
        assert await store.chunks(newest.document_id) == chunks_of(newest, count=2)


async def test_users_have_items_of_the_same_name_each_for_themselves(store: SqlItemStore) -> None:
    mine, theirs = item(), item(user_id="usr_b", version=9)
    await put(store, mine, theirs)
    ids = [chunk.chunk_id for one in (mine, theirs) for chunk in chunks_of(one)]
    assert {found.chunk.chunk_id for found in await store.passages("usr_a", ids)} == set(ids[:2])
    assert await store.chunk_documents("usr_a") == dict.fromkeys(ids[:2], mine.document_id)
    assert await store.delete("usr_a", ItemVersion("task", "tsk_1", 10)) is True
    assert await store.page("usr_b", "", 10) == [theirs.named]
    assert await store.page("usr_b", mine.document_id, 10) == [], "another's name begins no page"


async def test_pages_go_on_behind_an_item_that_was_deleted_meanwhile(store: SqlItemStore) -> None:
    await put(store, *[item(f"tsk_{number}") for number in range(5)])
    first = await store.page("usr_a", "", 2)
    assert [one.item_id for one in first] == ["tsk_0", "tsk_1"]
    await store.delete("usr_a", ItemVersion("task", "tsk_1", 2))
    rest = await store.page("usr_a", item_document_id("usr_a", "task", "tsk_1"), 10)
    assert [one.item_id for one in rest] == ["tsk_2", "tsk_3", "tsk_4"]


async def test_the_journal_knows_documents_and_items(retrieval_database: Database) -> None:
    documents, items = SqlDocumentStore(retrieval_database), SqlItemStore(retrieval_database)
    journal = SqlIndexJournal(documents, items)
    text = "three four"
    document = Document(
        document_id=new_document_id(),
        owner_id="usr_a",
        title="Title",
        text=text,
        media_type=MediaType.MARKDOWN,
        project="",
        source_uri="",
        content_sha256=sha256(text),
        size_bytes=len(text),
        chunk_count=1,
        create_time=TIME,
        update_time=TIME,
    )
    await documents.put(document, [Chunk(chunk_id(document, 0), 0, 0, 1, "", "t")])
    await put(items, item(), item(user_id="usr_b"))
    mine = {chunk_id(document, 0): document.document_id} | {
        chunk.chunk_id: item().document_id for chunk in chunks_of(item())
    }
    assert await journal.chunk_documents_of("usr_a") == mine
    assert await journal.chunk_documents_of("usr_c") == {}
    assert len(await journal.chunk_documents()) == 5
    assert await journal.document(document.document_id) == document
    assert await journal.document(item().document_id) == document_of(item())
    assert await journal.chunks(item().document_id) == chunks_of(item())
    assert [one.document_id for one in await journal.owned("usr_a")] == [document.document_id]
    assert await documents.count("usr_a") == 1
