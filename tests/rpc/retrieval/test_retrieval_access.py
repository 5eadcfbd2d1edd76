"""Who may do what: every rpc, with a wrong token, with another's document, with a shared one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from parley_shared.status import status_error_from

SECRET = "# The secret\n\nThe treasure of the axolotl."

CALLS: dict[str, Callable[[Any, str], Awaitable[Any]]] = {
    "CreateDocument": lambda caller, _: caller.create("text"),
    "ListDocuments": lambda caller, _: caller.page(),
    "GetDocument": lambda caller, document_id: caller.get(document_id),
    "ListDocumentVersions": lambda caller, document_id: caller.versions(document_id),
    "UpdateDocument": lambda caller, document_id: caller.update(document_id=document_id, text="mine"),
    "DeleteDocument": lambda caller, document_id: caller.delete(document_id),
    "Search": lambda caller, _: caller.search("axolotl"),
}
OF_A_DOCUMENT = ["GetDocument", "ListDocumentVersions", "UpdateDocument", "DeleteDocument"]
ABSENT = f"doc_{'0' * 32}"


async def refusal(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_without_a_token_is_refused(retrieval: Any, name: str) -> None:
    nobody = type(retrieval.caller())(retrieval, "", ())
    error = await refusal(CALLS[name](nobody, ABSENT))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_with_the_other_scope_is_refused(retrieval: Any, name: str) -> None:
    writes = name in {"CreateDocument", "UpdateDocument", "DeleteDocument"}
    caller = retrieval.caller(scopes=("documents:read" if writes else "documents:write", "chat:write"))
    error = await refusal(CALLS[name](caller, ABSENT))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("name", OF_A_DOCUMENT)
async def test_anothers_document_does_not_exist_in_the_same_words_as_none(retrieval: Any, name: str) -> None:
    owner, other = retrieval.caller(), retrieval.caller()
    document_id = (await owner.create(SECRET)).document.document_id
    of_another = await refusal(CALLS[name](other, document_id))
    of_nobody = await refusal(CALLS[name](other, ABSENT))
    assert of_another.code() == of_nobody.code() == grpc.StatusCode.NOT_FOUND
    assert of_another.details() == of_nobody.details()
    assert status_error_from(of_another).reason == "ERROR_REASON_RESOURCE_NOT_FOUND"
    assert (await owner.get(document_id)).document.text == SECRET


async def test_anothers_document_is_neither_listed_nor_found(retrieval: Any) -> None:
    owner, other = retrieval.caller(), retrieval.caller()
    await owner.create(SECRET, project="apollo")
    assert len(await owner.search("axolotl")) == 1
    assert await other.search("axolotl") == []
    assert await other.search("axolotl", project="apollo") == []
    assert (await other.page(project="apollo")).documents == []
    assert all(document.shared for document in (await other.page(include_shared=True)).documents)


async def test_a_page_token_of_another_shows_nothing_of_theirs(retrieval: Any) -> None:
    owner, other = retrieval.caller(), retrieval.caller()
    for number in range(3):
        await owner.create(f"axolotl {number}")
    token = (await owner.page(page_size=1)).next_page_token
    assert (await other.page(page_token=token)).documents == []


async def test_a_shared_document_can_be_read_and_not_changed(retrieval: Any) -> None:
    caller = retrieval.caller()
    (shared,) = (await caller.page(include_shared=True)).documents
    assert shared.shared
    assert (await caller.get(shared.document_id)).document.text.startswith("# About quokkas")
    for name in ("UpdateDocument", "DeleteDocument"):
        error = await refusal(CALLS[name](caller, shared.document_id))
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert (await caller.get(shared.document_id)).document.text.startswith("# About quokkas")


async def test_a_service_token_acts_for_its_user_only(retrieval: Any) -> None:
    owner = retrieval.caller()
    await owner.create(SECRET)
    token = retrieval.keys.mint(owner.user_id, ("documents:read",), act={"sub": "chat"})
    chat = type(owner)(retrieval, owner.user_id, (("authorization", f"Bearer {token}"),))
    assert len(await chat.search("axolotl")) == 1
