"""The suite of the ports `DocumentStore` and `IndexJournal`, on every database that retrieval runs on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.domain.chunks import Chunk, chunk_id
from parley_retrieval.domain.documents import Document, MediaType, new_document_id, sha256, shared_document_id
from parley_retrieval.domain.errors import DocumentExistsError
from parley_retrieval.domain.outline import Heading
from parley_retrieval.domain.visibility import SHARED_OWNER, Visibility
from parley_retrieval.ports.document_store import DocumentCursor
from parley_shared.sql import Database

TIME = datetime(2025, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
ALICE = Visibility("usr_a")


@pytest.fixture
def store(retrieval_database: Database) -> SqlDocumentStore:
    return SqlDocumentStore(retrieval_database)


def document(text: str = "one two", owner_id: str = "usr_a", minutes: int = 0, **fields: str) -> Document:
    base = Document(
        document_id=shared_document_id(fields.get("source_uri", "")) if owner_id == SHARED_OWNER else new_document_id(),
        owner_id=owner_id,
        title="Title",
        text=text,
        media_type=MediaType.MARKDOWN,
        project="",
        source_uri="",
        content_sha256=sha256(text),
        size_bytes=len(text.encode()),
        chunk_count=2,
        create_time=TIME,
        update_time=TIME + timedelta(minutes=minutes),
    )
    return replace(base, **fields)  # type: ignore[arg-type]  # all texts


def chunks_of(whole: Document, count: int = 2) -> list[Chunk]:
    text = whole.text or ""
    return [
        Chunk(chunk_id(whole, number), number, number, number + 1, "A › B", text[number : number + 1])
        for number in range(count)
    ]


async def test_a_document_comes_back_as_it_was_put(store: SqlDocumentStore) -> None:
    put = document("naïve 漢 🙂", title="T", project="apollo", source_uri="here", media_type=MediaType.PLAIN_TEXT)  # type: ignore[arg-type]  # see document()
    await store.put(put, chunks_of(put))
    assert await store.find(ALICE, put.document_id) == put
    assert await store.document(put.document_id) == put
    assert await store.find_like("usr_a", put.likeness) == replace(put, text=None)
    assert await store.chunks(put.document_id) == chunks_of(put)
    assert await store.chunk_documents() == {chunk.chunk_id: put.document_id for chunk in chunks_of(put)}


async def test_only_what_is_visible_is_found(store: SqlDocumentStore) -> None:
    own, shared, other = document(), document(owner_id=SHARED_OWNER), document(owner_id="usr_b")
    for each in (own, shared, other):
        await store.put(each, chunks_of(each))
    ids = [chunk.chunk_id for each in (own, shared, other) for chunk in chunks_of(each)]
    alone = Visibility("usr_a", include_shared=False)
    for visibility, seen in ((ALICE, {own.document_id, shared.document_id}), (alone, {own.document_id})):
        found = [each for each in (own, shared, other) if await store.find(visibility, each.document_id)]
        assert {each.document_id for each in found} == seen
        assert {each.document_id for each in await store.page(visibility, "", None, 10)} == seen
        passages = await store.passages(visibility, ids)
        assert {passage.document_id for passage in passages} == seen
        assert {passage.document_id for passage in passages if passage.shared} == seen - {own.document_id}
    assert await store.find_like("usr_a", other.likeness) == replace(own, text=None)


async def test_passages_tell_their_document_and_unknown_chunks_are_left_out(store: SqlDocumentStore) -> None:
    put = document(title="The title")
    await store.put(put, chunks_of(put))
    (passage,) = await store.passages(ALICE, [chunks_of(put)[1].chunk_id, chunk_id(put, 99)])
    assert passage.chunk == chunks_of(put)[1]
    assert (passage.document_title, passage.shared) == ("The title", False)
    assert await store.passages(ALICE, []) == []


async def test_putting_again_replaces_the_document_and_its_chunks(store: SqlDocumentStore) -> None:
    before = document()
    await store.put(before, chunks_of(before))
    after = replace(before, text="new", content_sha256=sha256("new"), title="New", update_time=TIME + timedelta(days=1))
    await store.put(after, chunks_of(after, 1))
    assert await store.find(ALICE, before.document_id) == after
    assert await store.chunks(before.document_id) == chunks_of(after, 1)
    assert await store.count("usr_a") == 1


async def test_an_owner_has_no_two_documents_alike(store: SqlDocumentStore) -> None:
    first, twin = document(), document()
    await store.put(first, chunks_of(first))
    with pytest.raises(DocumentExistsError):
        await store.put(twin, chunks_of(twin))
    other = document("other")
    await store.put(other, chunks_of(other))
    with pytest.raises(DocumentExistsError):
        await store.put(replace(first, document_id=other.document_id), chunks_of(other))
    assert await store.find(ALICE, other.document_id) == other
    assert await store.chunks(other.document_id) == chunks_of(other)
    assert await store.count("usr_a") == 2
    for path in ("a.md", "b.md"):
        await store.put(document(owner_id=SHARED_OWNER, source_uri=path), [])
    assert len(await store.owned(SHARED_OWNER)) == 2


async def test_of_two_equal_puts_at_once_one_wins(store: SqlDocumentStore) -> None:
    results = await asyncio.gather(*(store.put(document(), []) for _ in range(8)), return_exceptions=True)
    assert results.count(None) == 1
    assert sum(isinstance(result, DocumentExistsError) for result in results) == 7


async def test_a_removed_document_takes_its_chunks_along(store: SqlDocumentStore) -> None:
    gone, kept = document(), document("kept")
    for each in (gone, kept):
        await store.put(each, chunks_of(each))
    for _ in range(2):
        await store.remove(gone.document_id)
        assert await store.find(ALICE, gone.document_id) is None
        assert set((await store.chunk_documents()).values()) == {kept.document_id}


async def test_pages_go_from_the_last_changed_to_the_first_and_ids_decide_between_equal_times(
    store: SqlDocumentStore,
) -> None:
    put = [document(f"text {number}", minutes=number // 3, project="p" if number % 2 else "") for number in range(9)]
    for each in put:
        await store.put(each, [])
    expected = sorted(put, key=lambda each: (each.update_time, each.document_id), reverse=True)
    found: list[Document] = []
    after = None
    while page := await store.page(ALICE, "", after, 2):
        found += page
        after = DocumentCursor(page[-1].update_time, page[-1].document_id)
    assert found == [replace(each, text=None) for each in expected]
    in_project = [replace(each, text=None) for each in expected if each.project == "p"]
    assert await store.page(ALICE, "p", None, 10) == in_project
    cursor = DocumentCursor(in_project[1].update_time, in_project[1].document_id)
    assert await store.page(ALICE, "p", cursor, 10) == in_project[2:]


async def test_changes_stay_open_until_they_are_closed(store: SqlDocumentStore) -> None:
    for number in range(12):
        await store.open_change(f"change {number}", f"doc {number % 2}")
    await store.close_changes([f"change {number}" for number in range(10)] + ["unknown"] * 7_000)
    assert await store.open_changes() == {"change 10": "doc 0", "change 11": "doc 1"}
    await store.close_changes([])


# Versions ------------------------------------------------------------------------------------------------------------


def next_version(before: Document, text: str) -> Document:
    later = before.update_time + timedelta(minutes=1)
    return replace(
        before,
        text=text,
        content_sha256=sha256(text),
        version=before.version + 1,
        page_starts=(),
        outline=(),
        update_time=later,
    )


async def test_what_a_document_was_is_kept_under_its_version(store: SqlDocumentStore) -> None:
    outline = (Heading(1, "One", 0, 8), Heading(2, "Two", 10, 10))
    first = replace(document("page one, page two"), page_count=2, page_starts=(0, 10), outline=outline)
    second = next_version(first, "other")
    for each in (first, second):
        await store.put(each, chunks_of(each))
        assert await store.find(ALICE, each.document_id) == each
    assert [one.version for one in await store.versions(ALICE, first.document_id)] == [2, 1]
    assert await store.find_version(ALICE, first.document_id, 1) == replace(first, chunk_count=0, outline=())
    assert await store.find_version(ALICE, first.document_id, 2) == second
    assert await store.find_version(ALICE, first.document_id, 3) is None
    assert await store.find_version(Visibility("usr_b"), first.document_id, 1) is None
    assert await store.versions(Visibility("usr_b"), first.document_id) == []


async def test_older_versions_are_dropped_when_told_and_with_their_document(store: SqlDocumentStore) -> None:
    one = document("1")
    two, three = next_version(one, "2"), next_version(next_version(one, "2"), "3")
    for each in (one, two):
        await store.put(each, [])
    await store.put(three, [], keep_versions=False)
    assert [each.version for each in await store.versions(ALICE, one.document_id)] == [3]
    await store.put(next_version(three, "4"), [])
    assert [each.version for each in await store.versions(ALICE, one.document_id)] == [4, 3]
    await store.remove(one.document_id)
    await store.put(one, [])
    assert [each.version for each in await store.versions(ALICE, one.document_id)] == [1]


async def test_two_writers_of_the_same_version_keep_what_was_there_once(store: SqlDocumentStore) -> None:
    first = document("first")
    await store.put(first, [])
    await asyncio.gather(*(store.put(next_version(first, f"by {number}"), []) for number in range(6)))
    assert [each.version for each in await store.versions(ALICE, first.document_id)] == [2, 1]
