"""DocumentService over a real server."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from parley.retrieval.v1 import document_pb2

GUIDE = "# The guide\n\nHow to begin.\n\n## Install\n\nType `make run`.\n"
ABSENT = f"doc_{'0' * 32}"


async def test_a_document_comes_back_as_it_was_stored(caller: Any) -> None:
    response = await caller.create(GUIDE, title="Guide", project="apollo", source_uri="docs/guide.md")
    assert response.created
    assert response.document.text == ""
    stored = (await caller.get(response.document.document_id)).document
    assert stored.text == GUIDE
    stored.text = ""
    assert stored == response.document
    assert (stored.title, stored.project, stored.source_uri) == ("Guide", "apollo", "docs/guide.md")
    assert stored.media_type == document_pb2.MEDIA_TYPE_MARKDOWN
    assert stored.content_sha256 == hashlib.sha256(GUIDE.encode()).hexdigest()
    assert stored.size_bytes == len(GUIDE.encode())
    assert stored.chunk_count == 2
    assert not stored.shared
    assert stored.create_time == stored.update_time
    assert abs((datetime.now(UTC) - stored.create_time.ToDatetime(UTC)).total_seconds()) < 60


@pytest.mark.parametrize(
    ("fields", "title"),
    [({}, "The guide"), ({"title": "  "}, "The guide"), ({"media_type": "MEDIA_TYPE_PLAIN_TEXT"}, "# The guide")],
)
async def test_a_document_without_a_title_is_called_by_its_text(caller: Any, fields: Any, title: str) -> None:
    assert (await caller.create(GUIDE, **fields)).document.title == title


async def test_the_same_text_with_the_same_title_is_stored_once(caller: Any) -> None:
    first = await caller.create(GUIDE, title="Guide")
    again = await caller.create(GUIDE, title="Guide", project="other")
    assert not again.created
    assert again.document == first.document
    assert (await caller.create(GUIDE, title="Another")).created
    assert (await caller.create(GUIDE + " more", title="Guide")).created
    assert len((await caller.page()).documents) == 3


async def test_creates_of_the_same_document_at_the_same_time_store_it_once(caller: Any) -> None:
    responses = await asyncio.gather(*(caller.create(GUIDE) for _ in range(20)))
    assert len({response.document.document_id for response in responses}) == 1
    assert [response.created for response in responses].count(True) == 1
    assert len(await caller.search("install", exclude_shared=True)) == 1


async def test_the_same_document_of_two_users_is_two(retrieval: Any) -> None:
    ids = {(await retrieval.caller().create(GUIDE)).document.document_id for _ in range(2)}
    assert len(ids) == 2


async def test_the_longest_text_is_taken(caller: Any) -> None:
    # Four bytes a character: as large as a message may get.
    document = (await caller.create("🙂 " * 500_000, media_type="MEDIA_TYPE_PLAIN_TEXT")).document
    assert document.chunk_count == 0
    text = ("né " * 333_000 + "end").ljust(1_000_000, "!")
    document = (await caller.create(text, media_type="MEDIA_TYPE_PLAIN_TEXT")).document
    assert (await caller.get(document.document_id)).document.text == text
    assert document.chunk_count > 900
    hit = (await caller.search("end"))[0]
    assert text[hit.start_offset : hit.end_offset] == hit.text


# Lists ---------------------------------------------------------------------------------------------------------------


async def pages(caller: Any, **fields: object) -> list[list[str]]:
    token, found = "", []
    while True:
        page = await caller.page(page_token=token, **fields)
        found.append([document.title for document in page.documents])
        token = page.next_page_token
        if not token:
            return found


async def test_documents_are_listed_in_pages_last_changed_first_without_texts(caller: Any) -> None:
    for number in range(5):
        await caller.create(GUIDE, title=str(number))
    assert await pages(caller, page_size=2) == [["4", "3"], ["2", "1"], ["0"]]
    assert await pages(caller, page_size=5) == [["4", "3", "2", "1", "0"]]
    assert all(document.text == "" for document in (await caller.page()).documents)


async def test_a_document_made_while_paging_neither_repeats_nor_hides_another(caller: Any) -> None:
    for number in range(4):
        await caller.create(GUIDE, title=str(number))
    first = await caller.page(page_size=2)
    await caller.create(GUIDE, title="new")
    second = await caller.page(page_size=2, page_token=first.next_page_token)
    assert [document.title for document in [*first.documents, *second.documents]] == ["3", "2", "1", "0"]


async def test_fifty_documents_are_a_page_when_nothing_is_said(caller: Any) -> None:
    for number in range(51):
        await caller.create(f"text {number}")
    assert [len(page) for page in await pages(caller)] == [50, 1]


async def test_a_project_narrows_the_list(caller: Any) -> None:
    await caller.create(GUIDE, title="in", project="apollo")
    await caller.create(GUIDE, title="out")
    assert await pages(caller, project="apollo") == [["in"]]


async def test_shared_documents_are_listed_on_request(caller: Any) -> None:
    await caller.create(GUIDE)
    assert [document.shared for document in (await caller.page()).documents] == [False]
    both = (await caller.page(include_shared=True)).documents
    assert sorted(document.shared for document in both) == [False, True]


# Changes -------------------------------------------------------------------------------------------------------------


async def test_an_update_changes_what_it_names_and_nothing_else(caller: Any) -> None:
    before = (await caller.create(GUIDE, title="Guide", project="apollo", source_uri="here")).document
    mask = FieldMask(paths=["title", "project"])
    after = (
        await caller.update(document_id=before.document_id, title="New", text="unnamed", update_mask=mask)
    ).document
    assert (after.title, after.project, after.source_uri) == ("New", "", "here")
    assert after.content_sha256 == before.content_sha256
    assert after.create_time == before.create_time
    assert after.update_time.ToDatetime(UTC) > before.update_time.ToDatetime(UTC)
    stored = (await caller.get(before.document_id)).document
    assert stored.text == GUIDE
    stored.text = ""
    assert stored == after


async def test_an_update_without_a_mask_changes_what_is_not_empty(caller: Any) -> None:
    before = (await caller.create(GUIDE, title="Guide", project="apollo")).document
    after = (await caller.update(document_id=before.document_id, text="Only this.")).document
    assert (after.title, after.project, after.chunk_count) == ("Guide", "apollo", 1)
    assert (await caller.get(before.document_id)).document.text == "Only this."


async def test_an_update_that_changes_nothing_leaves_the_time_alone(caller: Any) -> None:
    before = (await caller.create(GUIDE, title="Guide")).document
    assert (await caller.update(document_id=before.document_id, title="Guide", text=GUIDE)).document == before
    assert (await caller.update(document_id=before.document_id)).document == before


async def test_an_updated_document_is_found_by_its_new_words_and_no_more_by_its_old_ones(caller: Any) -> None:
    document = (await caller.create("about walruses", title="Old title")).document
    await caller.update(document_id=document.document_id, text="about ospreys", title="Fresh name")
    for words, count in {"walruses": 0, "old title": 0, "ospreys": 1, "fresh name": 1}.items():
        assert len(await caller.search(words, exclude_shared=True)) == count, words


async def test_a_changed_title_alone_is_searched_too(caller: Any) -> None:
    document = (await caller.create("about walruses", title="Old title")).document
    await caller.update(document_id=document.document_id, title="Fresh name")
    assert await caller.search("old title", exclude_shared=True) == []
    (hit,) = await caller.search("fresh name", exclude_shared=True)
    assert hit.document_title == "Fresh name"


async def test_an_update_moves_a_document_to_the_head_of_the_list(caller: Any) -> None:
    first = (await caller.create("one", title="first")).document
    await caller.create("two", title="second")
    await caller.update(document_id=first.document_id, project="apollo")
    assert await pages(caller) == [["first", "second"]]


async def test_a_document_cannot_become_the_double_of_another(caller: Any) -> None:
    await caller.create("one", title="Same")
    other = (await caller.create("two", title="Same")).document
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.update(document_id=other.document_id, text="one")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (await caller.get(other.document_id)).document.text == "two"
    assert [hit.text for hit in await caller.search("two", exclude_shared=True)] == ["two"]
    assert len(await caller.search("one", exclude_shared=True)) == 1


async def test_updates_at_the_same_time_leave_one_of_them_whole(caller: Any) -> None:
    document = (await caller.create("start", title="t")).document
    texts = [f"# version{number}\n\n" + f"version{number} " * 400 for number in range(6)]
    await asyncio.gather(*(caller.update(document_id=document.document_id, text=text) for text in texts))
    stored = (await caller.get(document.document_id)).document
    (winner,) = [number for number in range(6) if stored.text == texts[number]]
    for number in range(6):
        hits = await caller.search(f"version{number}", exclude_shared=True, limit=50)
        assert len(hits) == (stored.chunk_count if number == winner else 0)


async def test_updates_of_different_fields_at_the_same_time_are_all_kept(caller: Any) -> None:
    document = (await caller.create("text", title="t")).document
    fields = [{"title": "new"}, {"project": "apollo"}, {"source_uri": "there"}, {"text": "new text"}]
    await asyncio.gather(*(caller.update(document_id=document.document_id, **field) for field in fields))
    stored = (await caller.get(document.document_id)).document
    assert (stored.title, stored.project, stored.source_uri, stored.text) == ("new", "apollo", "there", "new text")


async def test_a_deleted_document_is_gone_from_everywhere(caller: Any) -> None:
    document = (await caller.create(GUIDE)).document
    await caller.delete(document.document_id)
    assert (await caller.page()).documents == []
    assert await caller.search("install", exclude_shared=True) == []
    for call in (caller.get(document.document_id), caller.delete(document.document_id)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert (await caller.create(GUIDE)).created


async def test_a_user_has_only_so_many_documents(tmp_path: Any, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_RETRIEVAL_DOCUMENTS_PER_USER="2") as retrieval:
        caller = retrieval.caller()
        first = (await caller.create("one")).document
        await caller.create("two")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.create("three")
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not (await caller.create("one")).created
        assert (await retrieval.caller().create("three")).created
        await caller.delete(first.document_id)
        assert (await caller.create("three")).created
        creates = (retrieval.caller().create(str(number)) for number in range(3))
        assert all(response.created for response in await asyncio.gather(*creates))
        caller = retrieval.caller()
        results = await asyncio.gather(*(caller.create(str(number)) for number in range(9)), return_exceptions=True)
        assert sum(not isinstance(result, BaseException) for result in results) == 2
        assert len((await caller.page()).documents) == 2
