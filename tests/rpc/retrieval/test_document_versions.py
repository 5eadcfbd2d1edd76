"""Older versions of a document: what is kept, who reads them, and that they go with it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley_retrieval.adapters.sql_schema import document_versions
from parley_shared.status import status_error_from
from sqlalchemy import func, select


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def kept(retrieval: Any, document_id: str) -> int:
    """How many older versions the database has of a document."""
    counted = select(func.count()).where(document_versions.c.document_id == document_id)
    async with retrieval.app.database.read() as connection:
        return int(await connection.scalar(counted) or 0)


async def numbers(caller: Any, document_id: str) -> list[int]:
    return [one.version for one in await caller.versions(document_id)]


async def test_each_text_that_a_document_had_can_be_read(caller: Any) -> None:
    first = (await caller.create("# One\n\nabout herons", title="Birds", project="apollo")).document
    second = (await caller.update(document_id=first.document_id, title="Waders", text="two: about ibises")).document
    third = (await caller.update(document_id=first.document_id, text="three")).document
    assert (first.version, second.version, third.version) == (1, 2, 3)
    told = await caller.versions(first.document_id)
    assert [(one.version, one.title) for one in told] == [(3, "Waders"), (2, "Waders"), (1, "Birds")]
    assert [one.update_time for one in told] == [third.update_time, second.update_time, first.update_time]
    for one, text in zip(told, ("three", "two: about ibises", "# One\n\nabout herons"), strict=True):
        assert one.content_sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert one.size_bytes == len(text)
        then = (await caller.get(first.document_id, version=one.version)).document
        assert (then.version, then.title, then.text, then.project) == (one.version, one.title, text, "apollo")
        assert (then.content_sha256, then.update_time) == (one.content_sha256, one.update_time)
        assert then.create_time == first.create_time
        assert then.chunk_count == (1 if one.version == 3 else 0), "only the newest is searched"
    assert (await caller.get(first.document_id)).document.text == "three"
    assert await caller.search("herons", exclude_shared=True) == []


async def test_what_a_search_found_can_be_read_at_its_version_after_an_edit(caller: Any) -> None:
    document_id = (await caller.create("The heron stands on one leg.")).document.document_id
    (hit,) = await caller.search("heron", exclude_shared=True)
    await caller.update(document_id=document_id, text="The ibis stands on two.")
    then = (await caller.get(document_id, version=hit.document_version)).document
    assert then.text[hit.start_offset : hit.end_offset] == hit.text


async def test_a_change_of_all_but_the_text_makes_no_version(caller: Any) -> None:
    document_id = (await caller.create("same")).document.document_id
    await caller.update(document_id=document_id, title="Another", project="apollo")
    await caller.update(document_id=document_id, text="same")
    assert await numbers(caller, document_id) == [1]


async def test_a_version_that_is_not_kept_is_not_found(caller: Any) -> None:
    document_id = (await caller.create("one")).document.document_id
    for version in (2, 2**31 - 1):
        error = await refusal(caller.get(document_id, version=version))
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert status_error_from(error).reason == "ERROR_REASON_RESOURCE_NOT_FOUND"


async def test_anothers_versions_are_not_found_in_the_same_words(retrieval: Any) -> None:
    owner, other = retrieval.caller(), retrieval.caller()
    document_id = (await owner.create("mine")).document.document_id
    await owner.update(document_id=document_id, text="mine, too")
    absent = await refusal(other.get(f"doc_{'0' * 32}", version=1))
    for call in (other.get(document_id, version=1), other.get(document_id, version=2), other.versions(document_id)):
        error = await refusal(call)
        assert (error.code(), error.details()) == (absent.code(), absent.details())
        assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_shared_document_has_the_one_version(caller: Any) -> None:
    (shared,) = (await caller.page(include_shared=True)).documents
    assert await numbers(caller, shared.document_id) == [1]
    assert (await caller.get(shared.document_id, version=1)).document.text.startswith("# About quokkas")


async def test_the_newest_twenty_are_kept(retrieval: Any, caller: Any) -> None:
    document_id = (await caller.create("text 1")).document.document_id
    for number in range(2, 24):
        await caller.update(document_id=document_id, text=f"text {number}")
    assert await numbers(caller, document_id) == list(range(23, 2, -1))
    assert (await caller.get(document_id, version=3)).document.text == "text 3"
    assert (await refusal(caller.get(document_id, version=2))).code() == grpc.StatusCode.NOT_FOUND


async def test_changes_at_the_same_time_each_make_a_version(caller: Any) -> None:
    document_id = (await caller.create("text")).document.document_id
    texts = [f"text {number}" for number in range(8)]
    await asyncio.gather(*(caller.update(document_id=document_id, text=text) for text in texts))
    assert await numbers(caller, document_id) == list(range(9, 0, -1))
    found = {(await caller.get(document_id, version=version)).document.text for version in range(1, 10)}
    assert found == {"text", *texts}


async def test_a_deleted_document_leaves_no_version(retrieval: Any, caller: Any) -> None:
    document_id = (await caller.create("one")).document.document_id
    await caller.update(document_id=document_id, text="two")
    assert await kept(retrieval, document_id) == 1
    await caller.delete(document_id)
    assert await kept(retrieval, document_id) == 0
    for call in (caller.get(document_id, version=1), caller.versions(document_id)):
        assert (await refusal(call)).code() == grpc.StatusCode.NOT_FOUND


async def test_older_versions_count_and_give_way_when_there_is_no_room(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_RETRIEVAL_BYTES_PER_USER="1000000") as retrieval:
        caller = retrieval.caller()
        document_id = (await caller.create("a" * 400_000)).document.document_id
        await caller.update(document_id=document_id, text="b" * 400_000)
        assert await numbers(caller, document_id) == [2, 1]
        # 800,000 bytes with the older version: no room for a third of this size, but for the document alone.
        error = await refusal(caller.create("c" * 300_000))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await caller.update(document_id=document_id, text="d" * 400_000)
        assert await numbers(caller, document_id) == [3]
        assert (await caller.create("c" * 300_000)).created
        error = await refusal(caller.update(document_id=document_id, text="e" * 700_001))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await caller.get(document_id)).document.version == 3, "what has no room changes nothing"
