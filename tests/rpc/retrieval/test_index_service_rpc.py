"""IndexService for what other services own: what is put is found, what is deleted is not, and only by the user it is for."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from parley.retrieval.v1 import document_pb2, index_service_pb2, index_service_pb2_grpc, search_service_pb2
from parley_shared.paging import encode_page_token

SCOPES = ("documents:read", "documents:write", "index:read", "index:write")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class Owner:
    """A service that owns things, for one user."""

    def __init__(self, retrieval: Any, user_id: str = "", scopes: tuple[str, ...] = SCOPES) -> None:
        self.caller = retrieval.caller(user_id, scopes)
        self.index = index_service_pb2_grpc.IndexServiceStub(retrieval.channel)

    async def put(self, *items: index_service_pb2.IndexItem) -> int:
        request = index_service_pb2.PutItemsRequest(items=items)
        count: int = (await self.index.PutItems(request, metadata=self.caller.metadata)).put_count
        return count

    async def delete(self, *items: tuple[str, int]) -> int:
        named = [index_service_pb2.DeletedItem(item_type="task", item_id=name, version=of) for name, of in items]
        request = index_service_pb2.DeleteItemsRequest(items=named)
        count: int = (await self.index.DeleteItems(request, metadata=self.caller.metadata)).deleted_count
        return count

    async def page(self, **fields: Any) -> index_service_pb2.ListItemsResponse:
        request = index_service_pb2.ListItemsRequest(**fields)
        response: index_service_pb2.ListItemsResponse = await self.index.ListItems(
            request, metadata=self.caller.metadata
        )
        return response

    async def versions(self) -> dict[str, int]:
        return {item.item_id: item.version for item in (await self.page()).items}

    async def find(self, query: str, **fields: Any) -> list[search_service_pb2.SearchHit]:
        return list(await self.caller.search(query, include_items=True, **fields))

    async def titles(self, query: str, **fields: Any) -> set[str]:
        return {hit.document_title for hit in await self.find(query, **fields)}


def item(item_id: str = "tsk_1", version: int = 1, **fields: Any) -> index_service_pb2.IndexItem:
    made = {"item_type": "task", "title": "Order seed", "text": "Ask the miller about barley.", **fields}
    if "update_time" not in made:
        made["update_time"] = NOW
    return index_service_pb2.IndexItem(item_id=item_id, version=version, **made)


async def wrong_fields(call: Any) -> set[str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    bad = error_details_pb2.BadRequest()
    trailers = dict(raised.value.trailing_metadata() or ())
    for detail in status_pb2.Status.FromString(bytes(trailers["grpc-status-details-bin"])).details:
        detail.Unpack(bad)
    return {violation.field for violation in bad.field_violations}


@pytest.fixture
def owner(retrieval: Any) -> Owner:
    return Owner(retrieval)


async def test_an_item_is_found_as_what_it_is_by_who_asks_for_items(owner: Owner) -> None:
    assert await owner.put(item(project="farm")) == 1
    hit = (await owner.find("miller"))[0]
    assert (hit.item_type, hit.document_id, hit.document_title) == ("task", "tsk_1", "Order seed")
    assert (hit.text, hit.shared, hit.document_version) == ("Ask the miller about barley.", False, 0)
    assert (hit.start_offset, hit.end_offset) == (0, len(hit.text))
    assert await owner.caller.search("miller") == []
    assert await owner.titles("seed") == {"Order seed"}, "by its title, too"


async def test_items_change_nothing_for_who_does_not_ask_for_them(owner: Owner) -> None:
    document = (await owner.caller.create("The miller has barley.", title="Mill")).document
    await owner.caller.create("The baker has bread.", title="Bakery")
    before = await owner.caller.search("miller bread")
    await owner.put(*[item(f"tsk_{number}", text="the miller, again") for number in range(20)])
    assert await owner.caller.search("miller bread") == before, "the rarity of words among them"
    listed = await owner.caller.page()
    assert len(listed.documents) == 2
    hits = await owner.find("miller", limit=50)
    assert len(hits) == 21
    assert [hit.document_id for hit in hits if not hit.item_type] == [document.document_id]


async def test_an_item_that_says_nothing_is_found_by_its_title(owner: Owner) -> None:
    await owner.put(item(text="", title="Call the plumber"), item("tsk_2", text="—", title="🎉"))
    assert [hit.text for hit in await owner.find("plumber")] == ["Call the plumber"]
    assert await owner.versions() == {"tsk_1": 1, "tsk_2": 1}


async def test_a_long_item_is_found_by_what_it_says_at_its_end(owner: Owner) -> None:
    text = "\n\n".join(f"## Part {part}\n\n{'filling words of this part ' * 20}" for part in range(30)) + "\n\nmarzipan"
    assert len(text) <= 20_000
    await owner.put(item(text=text))
    hit = (await owner.find("marzipan"))[0]
    assert hit.text == text[hit.start_offset : hit.end_offset]
    assert hit.heading == "Part 29"


async def test_only_a_newer_version_is_put(owner: Owner) -> None:
    assert await owner.put(item(version=3)) == 1
    assert await owner.put(item(version=3, text="the same again, differently")) == 0
    assert await owner.put(item(version=2, text="late")) == 0
    assert await owner.titles("miller") == {"Order seed"}
    assert await owner.titles("differently late") == set()
    assert await owner.put(item(version=5, text="newer", title="Renamed")) == 1
    assert await owner.titles("miller") == set()
    assert await owner.titles("newer") == {"Renamed"}
    assert await owner.versions() == {"tsk_1": 5}


async def test_what_is_deleted_is_not_brought_back_by_a_late_put(owner: Owner) -> None:
    await owner.put(item(version=1), item("tsk_2", version=1))
    assert await owner.delete(("tsk_1", 3), ("tsk_9", 3)) == 1
    assert await owner.put(item(version=2), item("tsk_9", version=2)) == 0
    assert await owner.versions() == {"tsk_2": 1}
    assert {hit.document_id for hit in await owner.find("miller")} == {"tsk_2"}
    assert await owner.delete(("tsk_1", 3)) == 0, "which was so already"
    assert await owner.put(item(version=4)) == 1, "a newer one is another matter"
    assert await owner.delete(("tsk_1", 4), ("tsk_2", 1)) == 0, "no deletion is as old as what it deletes"
    assert await owner.versions() == {"tsk_1": 4, "tsk_2": 1}
    assert {hit.document_id for hit in await owner.find("miller")} == {"tsk_1", "tsk_2"}


async def test_of_calls_at_the_same_time_the_newest_version_stays(owner: Owner) -> None:
    names = [f"tsk_{number}" for number in range(3)]
    await asyncio.gather(
        *[
            owner.put(*[item(name, version=version, text=f"version{version} barley") for name in names])
            for version in (4, 2, 8, 1, 6, 3, 7, 5)
        ],
        owner.delete((names[0], 9)),
    )
    assert await owner.versions() == {names[1]: 8, names[2]: 8}
    hits = await owner.find("barley", limit=50)
    assert {(hit.document_id, hit.text) for hit in hits} == {(name, "version8 barley") for name in names[1:]}
    assert len(hits) == 2
    assert await owner.titles("version1 version2 version3 version4 version5 version6 version7") == set()


async def test_nobody_reaches_the_items_of_another(retrieval: Any) -> None:
    mine, theirs = Owner(retrieval), Owner(retrieval)
    await mine.put(item(text="my barley"))
    await theirs.put(item(text="their barley", version=7))
    assert [hit.text for hit in await mine.find("barley")] == ["my barley"]
    assert await mine.versions() == {"tsk_1": 1}
    assert await mine.delete(("tsk_1", 9)) == 1
    assert [hit.text for hit in await theirs.find("barley")] == ["their barley"]


async def test_a_search_is_narrowed_among_items_as_among_documents(owner: Owner) -> None:
    await owner.caller.create("the miller writes", title="Letter", project="farm")
    await owner.put(item(title="Near", project="farm"), item("tsk_2", title="Far", project="town"))
    assert await owner.titles("miller", project="farm") == {"Letter", "Near"}
    assert await owner.titles("miller", update_time_until=NOW) == set()
    assert await owner.titles("miller", update_time_until=datetime(2026, 3, 4, 5, 6, 8, tzinfo=UTC)) == {"Near", "Far"}
    assert await owner.titles("miller", labels={"a": "b"}) == set()
    plain = [document_pb2.MEDIA_TYPE_PLAIN_TEXT]
    assert await owner.titles("miller", media_types=plain) == set()


async def test_a_page_goes_on_only_with_items_or_only_without(owner: Owner) -> None:
    await owner.put(*[item(f"tsk_{number}") for number in range(4)])
    request = search_service_pb2.SearchRequest(query="miller", limit=2, include_items=True)
    search = owner.caller.retrieval.search
    first = await search.Search(request, metadata=owner.caller.metadata)
    request.page_token = first.next_page_token
    second = await search.Search(request, metadata=owner.caller.metadata)
    assert len({hit.document_id for hit in [*first.hits, *second.hits]}) == 4
    request.include_items = False
    assert await wrong_fields(search.Search(request, metadata=owner.caller.metadata)) == {"page_token"}


async def test_the_list_tells_every_item_once_in_the_order_of_their_names(owner: Owner) -> None:
    names = [f"id_{number}" for number in range(7)] + ["🙂" * 100]
    await owner.put(*[item(name) for name in reversed(names)], item("id_3", item_type="note"))
    await owner.delete(("id_2", 2))
    found: list[tuple[str, str]] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await owner.page(page_size=3, page_token=token)
        found += [(one.item_type, one.item_id) for one in page.items]
        token, pages = page.next_page_token, pages + 1
        assert len(token) <= 512
        if pages == 1:
            # The one behind which the next page begins may go meanwhile.
            await owner.delete((found[-1][1], 2))
    assert found == [("note", "id_3"), *[("task", name) for name in names if name != "id_2"]]
    whole = await owner.page(page_size=1000)
    assert len(whole.items) == 7
    assert whole.next_page_token == ""


async def test_a_token_of_another_list_or_with_foreign_contents_is_refused(owner: Owner) -> None:
    for token in ("nonsense", encode_page_token("items", ["doc_1"]), encode_page_token("items", [1, "x"])):
        assert await wrong_fields(owner.page(page_token=token)) == {"page_token"}
    nobodys = encode_page_token("items", ["itm_" + "0" * 64])
    await owner.put(item())
    assert list((await owner.page(page_token=nobodys)).items) == []


async def test_items_survive_the_process(tmp_path: Any, serve: Any) -> None:
    user_id = f"usr_{uuid.uuid4().hex}"
    async with serve(tmp_path) as retrieval:
        owner = Owner(retrieval, user_id)
        await owner.put(item(), item("tsk_2"))
        await owner.delete(("tsk_2", 2))
    async with serve(tmp_path) as retrieval:
        owner = Owner(retrieval, user_id)
        assert [hit.document_id for hit in await owner.find("miller")] == ["tsk_1"]
        assert await owner.put(item("tsk_2", version=1)) == 0


async def test_an_index_that_was_lost_has_the_items_again_after_a_start(tmp_path: Any, serve: Any) -> None:
    user_id = f"usr_{uuid.uuid4().hex}"
    async with serve(tmp_path) as retrieval:
        owner = Owner(retrieval, user_id)
        await owner.put(item())
        await owner.caller.create("the miller writes", title="Letter")
    for file in sorted((tmp_path / "retrieval" / "index").rglob("about.json")):
        file.unlink()
    async with serve(tmp_path) as retrieval:
        assert await Owner(retrieval, user_id).titles("miller") == {"Order seed", "Letter"}


async def test_users_without_the_scope_are_refused(retrieval: Any) -> None:
    user = Owner(retrieval, scopes=("documents:read", "documents:write"))
    for call in (user.put(item()), user.delete(("tsk_1", 1)), user.page()):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_every_bound_of_an_item_is_told_by_its_field(owner: Owner) -> None:
    for fields, field in (
        ({"item_type": ""}, "item_type"),
        ({"item_type": "Task"}, "item_type"),
        ({"item_type": "x" * 33}, "item_type"),
        ({"item_id": ""}, "item_id"),
        ({"item_id": "x" * 101}, "item_id"),
        ({"item_id": "a\0b"}, "item_id"),
        ({"version": 0}, "version"),
        ({"version": -1}, "version"),
        ({"title": ""}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"title": "\0"}, "title"),
        ({"text": "x" * 20_001}, "text"),
        ({"text": "a\0"}, "text"),
        ({"project": "x" * 101}, "project"),
        ({"update_time": None}, "update_time"),
        ({"update_time": Timestamp(seconds=1 << 60)}, "update_time"),
    ):
        wrong: dict[str, Any] = {"item_id": "tsk_1", **fields}
        assert await wrong_fields(owner.put(item("tsk_0"), item(**wrong))) == {f"items[1].{field}"}
    assert await owner.versions() == {}, "nothing of a refused call is done"
    widest = item("x" * 100, (1 << 63) - 1, item_type="a_0" + "x" * 29, title="t" * 300, text="", project="p" * 100)
    assert await owner.put(widest) == 1


async def test_every_bound_of_the_calls_is_told_by_its_field(owner: Owner) -> None:
    assert await wrong_fields(owner.put()) == {"items"}
    assert await wrong_fields(owner.put(*[item(f"tsk_{number}") for number in range(101)])) == {"items"}
    assert await wrong_fields(owner.put(item(), item(version=2))) == {"items[1].item_id"}
    assert await owner.put(*[item(f"tsk_{number}") for number in range(100)]) == 100
    assert await wrong_fields(owner.delete()) == {"items"}
    assert await wrong_fields(owner.delete(*[(f"tsk_{number}", 2) for number in range(101)])) == {"items"}
    assert await wrong_fields(owner.delete(("tsk_1", 2), ("tsk_1", 3))) == {"items[1].item_id"}
    assert await wrong_fields(owner.delete(("", 0))) == {"items[0].item_id", "items[0].version"}
    assert await owner.delete(*[(f"tsk_{number}", 2) for number in range(100)]) == 100
    assert await wrong_fields(owner.page(page_size=1001)) == {"page_size"}
    assert await wrong_fields(owner.page(page_size=-1)) == {"page_size"}
    assert await wrong_fields(owner.page(page_token="x" * 513)) == {"page_token"}
