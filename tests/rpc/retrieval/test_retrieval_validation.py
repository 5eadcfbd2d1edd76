"""Malformed and oversized input of every rpc: refused, with the field named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from parley_shared.paging import encode_page_token
from parley_shared.status import status_error_from

ID = f"doc_{'0' * 32}"

BAD: list[tuple[str, Callable[[Any], Awaitable[Any]]]] = [
    ("text", lambda c: c.create("")),
    ("text", lambda c: c.create(" \n\t ")),
    ("text", lambda c: c.create("a" * 1_000_001)),
    ("text", lambda c: c.create("a\0b")),
    ("title", lambda c: c.create("a", title="a" * 301)),
    ("title", lambda c: c.create("a", title="\0")),
    ("media_type", lambda c: c.create("a", media_type=9)),
    ("project", lambda c: c.create("a", project="a" * 101)),
    ("source_uri", lambda c: c.create("a", source_uri="a" * 2_001)),
    ("page_size", lambda c: c.page(page_size=-1)),
    ("page_size", lambda c: c.page(page_size=101)),
    ("page_token", lambda c: c.page(page_token="a" * 513)),
    ("page_token", lambda c: c.page(page_token="made up")),
    ("project", lambda c: c.page(project="a" * 101)),
    ("document_id", lambda c: c.get("")),
    ("document_id", lambda c: c.get("ses_" + "0" * 32)),
    ("document_id", lambda c: c.get(ID.upper())),
    ("version", lambda c: c.get(ID, version=-1)),
    ("document_id", lambda c: c.versions("")),
    ("document_id", lambda c: c.delete(ID + "0")),
    ("document_id", lambda c: c.update(document_id="", title="a")),
    ("title", lambda c: c.update(document_id=ID, title="a" * 301)),
    ("title", lambda c: c.update(document_id=ID, update_mask=FieldMask(paths=["title"]))),
    ("text", lambda c: c.update(document_id=ID, text=" ")),
    ("text", lambda c: c.update(document_id=ID, text="a" * 1_000_001)),
    ("project", lambda c: c.update(document_id=ID, project="a" * 101)),
    ("source_uri", lambda c: c.update(document_id=ID, source_uri="a\0")),
    ("update_mask", lambda c: c.update(document_id=ID, update_mask=FieldMask(paths=["title", "owner_id"]), title="a")),
    ("query", lambda c: c.search("")),
    ("query", lambda c: c.search("  ")),
    ("query", lambda c: c.search("a" * 2_001)),
    ("limit", lambda c: c.search("a", limit=-1)),
    ("limit", lambda c: c.search("a", limit=51)),
    ("project", lambda c: c.search("a", project="a" * 101)),
]


@pytest.mark.parametrize(("field", "call"), BAD)
async def test_bad_input_is_refused_by_its_field(
    caller: Any, field: str, call: Callable[[Any], Awaitable[Any]]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(caller)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    error = status_error_from(caught.value)
    assert error.metadata["field"] == field
    assert field in [name for name, _ in error.violations]


async def test_all_fields_that_are_wrong_are_named_at_once(caller: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.create("", title="a" * 301, project="a" * 101)
    assert [name for name, _ in status_error_from(caught.value).violations] == ["title", "text", "project"]


async def test_a_message_beyond_every_bound_is_refused_before_it_is_read(caller: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.create("a" * (5 * 1024 * 1024))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_page_token_belongs_to_its_list(caller: Any) -> None:
    for number in range(2):
        await caller.create(f"text {number}", project="apollo")
    token = (await caller.page(page_size=1, project="apollo")).next_page_token
    for fields in ({}, {"project": "gemini"}, {"project": "apollo", "include_shared": True}):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.page(page_token=token, **fields)
        assert status_error_from(caught.value).reason == "ERROR_REASON_INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("cursor", [[], [1], [1, 2], ["1", ID], [-1, ID], [10**30, ID], [1, "a\0"], [1, ID, 1]])
async def test_a_page_token_that_somebody_made_is_refused(caller: Any, cursor: list[str | int]) -> None:
    await caller.create("text")
    listed = f"documents/{sha256(b'').hexdigest()[:16]}/0"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.page(page_token=encode_page_token(listed, cursor))
    assert status_error_from(caught.value).reason == "ERROR_REASON_INVALID_PAGE_TOKEN"
    await caller.page(page_token=encode_page_token(listed, [1, ID]))


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "`" * 50_000, "# " * 30_000, "> " * 30_000, "|-" * 30_000, "<!--" * 9_000]
)
async def test_hostile_markdown_is_stored_like_any_other(caller: Any, text: str) -> None:
    document = (await caller.create(text + " wombat")).document
    assert (await caller.get(document.document_id)).document.text == text + " wombat"
    assert len(await caller.search("wombat", exclude_shared=True)) == 1
