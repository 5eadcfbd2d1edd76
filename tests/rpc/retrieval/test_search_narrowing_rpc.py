"""What a search may be narrowed to, its pages and its snippets, over a real server; and the same service on a Qdrant server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from parley.retrieval.v1 import document_pb2, search_service_pb2
from parley_shared.settings import SettingsError
from parley_testing.loopback_qdrant import API_KEY, LoopbackQdrant

KEYWORD = search_service_pb2.SEARCH_MODE_KEYWORD


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


RIVERSIDE = "by the river " * 33
"""Makes a passage as long as passages usually are. Those of an owner whose passages are shorter are weighed anew in the background, and an
answer from before is no beginning of one from after."""


async def answer(caller: Any, query: str, **fields: Any) -> search_service_pb2.SearchResponse:
    request = search_service_pb2.SearchRequest(query=query, **fields)
    response = await caller.retrieval.search.Search(request, metadata=caller.metadata)
    assert isinstance(response, search_service_pb2.SearchResponse)
    return response


async def texts(caller: Any, query: str, **fields: Any) -> set[str]:
    return {hit.text for hit in (await answer(caller, query, **fields)).hits}


async def wrong_fields(caller: Any, **fields: Any) -> set[str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await answer(caller, **{"query": "heron", **fields})
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(raised.value.trailing_metadata() or ())
    bad = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(bytes(trailers["grpc-status-details-bin"])).details:
        detail.Unpack(bad)
    return {violation.field for violation in bad.field_violations}


async def test_a_search_is_narrowed_to_documents_kinds_and_times(caller: Any) -> None:
    first = (await caller.create("a heron by the river")).document
    second = (await caller.create("a heron by the sea", media_type=document_pb2.MEDIA_TYPE_PLAIN_TEXT)).document
    assert await texts(caller, "heron") == {"a heron by the river", "a heron by the sea"}
    assert await texts(caller, "heron", document_ids=[second.document_id]) == {"a heron by the sea"}
    assert await texts(caller, "heron", media_types=[document_pb2.MEDIA_TYPE_MARKDOWN]) == {"a heron by the river"}
    assert await texts(caller, "heron", update_time_from=second.update_time) == {"a heron by the sea"}
    assert await texts(caller, "heron", update_time_until=second.update_time) == {"a heron by the river"}
    assert await texts(caller, "heron", labels={"team": "red"}) == set()
    await caller.update(document_id=first.document_id, title="Renamed")
    assert await texts(caller, "heron", update_time_until=second.update_time) == set(), "it was changed since"


async def test_anothers_document_is_not_found_by_its_name(retrieval: Any) -> None:
    caller, other = retrieval.caller(), retrieval.caller()
    theirs = (await other.create("a heron of somebody else")).document
    assert await texts(caller, "heron", document_ids=[theirs.document_id]) == set()


async def test_pages_hold_every_passage_once_up_to_the_two_hundredth(caller: Any) -> None:
    parts = [f"# Part {part}\n\n{'heron ' * (1 + part % 7)} number {part} {RIVERSIDE}" for part in range(230)]
    await caller.create("\n\n".join(parts))
    whole: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await answer(caller, "heron", limit=50, page_token=token)
        whole += [hit.chunk_id for hit in page.hits]
        token, pages = page.next_page_token, pages + 1
    assert (pages, len(whole), len(set(whole))) == (4, 200, 200)
    small = await answer(caller, "heron", limit=30)
    rest = await answer(caller, "heron", limit=20, page_token=small.next_page_token)
    assert [hit.chunk_id for hit in [*small.hits, *rest.hits]] == whole[:50], "whatever the size of a page"


async def test_a_short_answer_is_the_beginning_of_a_long_one_also_among_equals(caller: Any) -> None:
    part = f"heron {RIVERSIDE}"
    for place in range(8):
        await caller.create("\n\n".join(f"# Part {number}\n\n{part}" for number in range(8)), title=f"Birds {place}")
    whole = await answer(caller, "heron", limit=50)
    assert (len(whole.hits), len({hit.score for hit in whole.hits})) == (50, 1)
    for limit in (1, 5, 20):
        assert (await answer(caller, "heron", limit=limit)).hits == whole.hits[:limit]


async def test_a_token_of_another_question_or_of_nobody_is_refused(caller: Any) -> None:
    for number in range(9):
        await caller.create(f"the heron number {number}")
    token = (await answer(caller, "heron", limit=2)).next_page_token
    assert len(token) <= 512
    for fields in (
        {"query": "number"},
        {"project": "x"},
        {"exclude_shared": True},
        {"mode": KEYWORD},
        {"labels": {"a": "b"}},
    ):
        assert await wrong_fields(caller, **{"page_token": token, **fields}) == {"page_token"}
    assert await wrong_fields(caller, page_token=token[:-1] + ("A" if token[-1] != "A" else "B")) == {"page_token"}


async def test_the_last_page_has_no_next_one(caller: Any) -> None:
    for number in range(4):
        await caller.create(f"the heron number {number}")
    first = await answer(caller, "heron", limit=2)
    second = await answer(caller, "heron", limit=2, page_token=first.next_page_token)
    assert (len(first.hits), len(second.hits), second.next_page_token) == (2, 2, "")


async def test_a_hit_shows_the_sentence_that_fits_and_marks_the_words_of_the_question(caller: Any) -> None:
    filler = "Nothing of that kind is written in this sentence, nor will it ever be. " * 6
    await caller.create(f"{filler}Herons were feeding at the river. {filler}")
    hit = (await answer(caller, "Where does the heron feed?")).hits[0]
    assert len(hit.snippet) <= 300
    assert hit.snippet in hit.text
    assert [hit.snippet[mark.start_offset : mark.end_offset] for mark in hit.highlights] == ["Herons", "feeding"]


async def test_who_does_without_snippets_gets_the_same_answer_otherwise(caller: Any) -> None:
    for number in range(5):
        await caller.create(f"the heron number {number} {RIVERSIDE}", title="Birds")
    shown = await answer(caller, "heron", limit=3)
    bare = await answer(caller, "heron", limit=3, without_snippets=True)
    assert all(hit.snippet and hit.highlights for hit in shown.hits)
    assert not any(hit.snippet or hit.highlights for hit in bare.hits)
    for hit in shown.hits:
        hit.ClearField("snippet")
        hit.ClearField("highlights")
    assert shown == bare
    rest = await answer(caller, "heron", limit=3, page_token=bare.next_page_token)
    assert [bool(hit.snippet) for hit in rest.hits] == [True, True], "each page as it is asked for"


async def test_a_hit_tells_the_version_of_its_document(caller: Any) -> None:
    document = (await caller.create("the first heron")).document
    assert (await answer(caller, "heron")).hits[0].document_version == 1
    await caller.update(document_id=document.document_id, text="the second heron")
    hit = (await answer(caller, "heron")).hits[0]
    assert (hit.text, hit.document_version, hit.page_number) == ("the second heron", 2, 0)


async def test_every_bound_is_told_by_its_field(caller: Any) -> None:
    ids = [f"doc_{number:032x}" for number in range(101)]
    for fields, field in (
        ({"mode": 9}, "mode"),
        ({"document_ids": ids}, "document_ids"),
        ({"document_ids": [ids[0], "doc_1"]}, "document_ids[1]"),
        ({"media_types": [0]}, "media_types[0]"),
        ({"media_types": [99]}, "media_types[0]"),
        ({"labels": {f"n{number}": "" for number in range(21)}}, "labels"),
        ({"labels": {"Not-A-Name": ""}}, "labels"),
        ({"labels": {"": ""}}, "labels"),
        ({"labels": {"name": "x" * 501}}, "labels"),
        ({"update_time_from": Timestamp(seconds=1 << 60)}, "update_time_from"),
        ({"update_time_until": Timestamp(seconds=-(1 << 60))}, "update_time_until"),
        ({"page_token": "x" * 513}, "page_token"),
        ({"limit": 51}, "limit"),
    ):
        assert await wrong_fields(caller, **fields) == {field}
    far = datetime.now(UTC) + timedelta(days=1)
    assert await texts(caller, "heron", document_ids=ids[:100], update_time_from=stamp(far)) == set()


async def test_the_service_keeps_its_index_in_a_qdrant_server(tmp_path: Path, serve: Any) -> None:
    async with LoopbackQdrant(api_key=API_KEY) as server:
        variables = {"PARLEY_RETRIEVAL_QDRANT_URL": server.url, "PARLEY_RETRIEVAL_QDRANT_API_KEY": API_KEY}
        async with serve(tmp_path, **variables) as retrieval:
            caller = retrieval.caller()
            document = (await caller.create("a heron by the river", title="Birds")).document
            assert await texts(caller, "heron") == {"a heron by the river"}
            await caller.update(document_id=document.document_id, text="a stork by the river")
            assert await texts(caller, "heron") == set()
        async with serve(tmp_path, **variables) as retrieval:
            caller = retrieval.caller(caller.user_id)
            assert await texts(caller, "stork") == {"a stork by the river"}
            await caller.delete(document.document_id)
            assert await texts(caller, "stork") == set()
        assert not (tmp_path / "retrieval" / "index").exists()


async def test_a_qdrant_server_that_cannot_be_used_is_one_sentence(tmp_path: Path, serve: Any) -> None:
    async with LoopbackQdrant(api_key=API_KEY) as server:
        for variables in (
            {"PARLEY_RETRIEVAL_QDRANT_URL": server.url, "PARLEY_RETRIEVAL_QDRANT_API_KEY": "wrong key"},
            {"PARLEY_RETRIEVAL_QDRANT_URL": "http://user:secret@host:6334"},
            {"PARLEY_RETRIEVAL_QDRANT_URL": "ftp://host"},
        ):
            with pytest.raises(SettingsError, match="PARLEY_RETRIEVAL_QDRANT_URL") as raised:
                async with serve(tmp_path, **variables):
                    pass
            assert "secret" not in str(raised.value)
            assert "wrong key" not in str(raised.value)
