"""Search by words, by meaning and by both: a real retrieval, a real inference, and an upstream whose vectors carry meaning."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parley.retrieval.v1 import index_service_pb2, index_service_pb2_grpc, search_service_pb2
from parley_inference.bootstrap import open_inference
from parley_inference.settings import InferenceSettings
from parley_shared.settings import Environment
from parley_testing.addresses import NOBODY
from parley_testing.fake_openai import FakeOpenAI

HYBRID = search_service_pb2.SEARCH_MODE_HYBRID
KEYWORD = search_service_pb2.SEARCH_MODE_KEYWORD
SEMANTIC = search_service_pb2.SEARCH_MODE_SEMANTIC
DEADLINE_SECONDS = 60
GARAGE = "# Garage\n\nThe automobile stands behind the workshop."
KENNEL = "# Kennel\n\nTwo puppies sleep in the barn."
LEDGER = "# Ledger\n\nInvoices are filed by month."


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass
class World:
    """A home, an upstream, and a port at which inference is or is not."""

    home: Path
    upstream: FakeOpenAI
    port: int
    serve: Any

    @asynccontextmanager
    async def inference(self, model: str = "embed-one") -> AsyncIterator[None]:
        environment = {
            "PARLEY_HOME": str(self.home),
            "PARLEY_INFERENCE_PORT": str(self.port),
            "PARLEY_DRAIN_SECONDS": "0",
            "PARLEY_CHAT_ADDRESS": NOBODY,
            "OPENAI_BASE_URL": self.upstream.base_url,
            "PARLEY_INFERENCE_EMBEDDING_MODEL": model,
        }
        async with open_inference(InferenceSettings.read(Environment(environment))) as app:
            await app.server.start()
            try:
                yield
            finally:
                await app.server.drain()

    def retrieval(self, model: str = "embed") -> AbstractAsyncContextManager[Any]:
        running: AbstractAsyncContextManager[Any] = self.serve(
            self.home,
            PARLEY_INFERENCE_ADDRESS=f"127.0.0.1:{self.port}",
            PARLEY_RETRIEVAL_EMBEDDING_MODEL=model,
        )
        return running

    def generations(self) -> list[str]:
        return sorted(path.name for path in (self.home / "retrieval" / "index" / "generations").iterdir())


@pytest.fixture
async def world(tmp_path: Path, serve: Any) -> AsyncIterator[World]:
    async with FakeOpenAI(models=("fake-model", "embed-one", "embed-two"), dimensions=128) as upstream:
        yield World(tmp_path, upstream, free_port(), serve)


async def answer(caller: Any, query: str, mode: Any = HYBRID, **fields: Any) -> search_service_pb2.SearchResponse:
    request = search_service_pb2.SearchRequest(query=query, mode=mode, **fields)
    response = await caller.retrieval.search.Search(request, metadata=caller.metadata)
    assert isinstance(response, search_service_pb2.SearchResponse)
    return response


async def titles(caller: Any, query: str, mode: Any = HYBRID, **fields: Any) -> list[str]:
    return [hit.document_title for hit in (await answer(caller, query, mode, **fields)).hits]


async def until(condition: Callable[[], Awaitable[bool]], words: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await condition():  # noqa: ASYNC110 - an answer of another process has no event; this is a test's wait.
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"waited {DEADLINE_SECONDS} s until {words}") from None


async def by_meaning(caller: Any, query: str = "question") -> bool:
    return (await answer(caller, query, SEMANTIC)).mode == SEMANTIC


async def test_what_means_the_same_is_found_in_other_words(world: World) -> None:
    async with world.inference(), world.retrieval() as retrieval:
        caller = retrieval.caller()
        await until(lambda: by_meaning(caller), "the index is one with meanings")
        for text in (GARAGE, KENNEL, LEDGER):
            await caller.create(text)
        assert await titles(caller, "vehicle", KEYWORD) == []
        for mode in (HYBRID, SEMANTIC):
            found = await answer(caller, "vehicle", mode)
            assert found.mode == mode
            assert found.hits[0].document_title == "Garage"
            assert not found.hits[0].highlights, "no word of the question stands there"
            assert found.hits[0].snippet == found.hits[0].text
        assert (await titles(caller, "dog"))[0] == "Kennel"
        both = await answer(caller, "invoices", HYBRID)
        assert both.hits[0].document_title == "Ledger"
        assert [hit.score for hit in both.hits] == sorted((hit.score for hit in both.hits), reverse=True)
        assert all(hit.score > 0 for hit in both.hits)


async def test_nobody_finds_by_meaning_what_is_anothers(world: World) -> None:
    async with world.inference(), world.retrieval() as retrieval:
        caller, other = retrieval.caller(), retrieval.caller()
        await until(lambda: by_meaning(caller), "the index is one with meanings")
        await other.create(GARAGE)
        for mode in (HYBRID, SEMANTIC):
            found = await answer(caller, "automobile", mode)
            assert (found.mode, len(found.hits)) == (mode, 0)


async def test_without_a_model_words_are_what_is_searched_for_whatever_is_asked(retrieval: Any) -> None:
    caller = retrieval.caller()
    await caller.create(GARAGE)
    for mode in (HYBRID, KEYWORD, SEMANTIC, search_service_pb2.SEARCH_MODE_UNSPECIFIED):
        found = await answer(caller, "automobile", mode)
        assert found.mode == KEYWORD
        assert [hit.document_title for hit in found.hits] == ["Garage"]


async def test_a_service_without_inference_starts_takes_documents_and_gives_them_their_meaning_later(
    world: World,
) -> None:
    async with world.retrieval() as retrieval:
        caller = retrieval.caller()
        await caller.create(GARAGE)
        await caller.create(KENNEL)
        found = await answer(caller, "automobile", HYBRID)
        assert (found.mode, [hit.document_title for hit in found.hits]) == (KEYWORD, ["Garage"])
        async with world.inference():
            await until(lambda: by_meaning(caller), "what was written by its words alone has its meaning")
            assert (await titles(caller, "vehicle", SEMANTIC))[0] == "Garage"


async def test_a_model_that_fails_leaves_the_words(world: World) -> None:
    async with world.retrieval() as retrieval:
        caller = retrieval.caller()
        async with world.inference():
            await until(lambda: by_meaning(caller), "the index is one with meanings")
            await caller.create(GARAGE)
        found = await answer(caller, "automobile never asked before", HYBRID)
        assert (found.mode, [hit.document_title for hit in found.hits]) == (KEYWORD, ["Garage"])


async def test_another_model_makes_the_index_anew_while_the_old_one_answers(world: World) -> None:
    async with world.retrieval() as retrieval:
        caller = retrieval.caller()
        async with world.inference("embed-one"):
            await until(lambda: by_meaning(caller), "the first index has its meanings")
            for text in (GARAGE, KENNEL, LEDGER):
                await caller.create(text)
            await until(lambda: by_meaning(caller), "the first index answers")
        before = world.generations()
    world.upstream.dimensions = 96
    world.upstream.requests.clear()
    async with world.retrieval() as retrieval:
        caller = retrieval.caller(caller.user_id)
        # Inference is not there yet: the old index answers by words.
        assert await titles(caller, "automobile") == ["Garage"]
        async with world.inference("embed-two"):
            answers: list[list[str]] = []

            async def is_new() -> bool:
                answers.append(await titles(caller, "automobile"))
                return world.generations() != before and len(world.generations()) == 1 and await by_meaning(caller)

            await until(is_new, "the next index answers by meaning")
            assert all(found[0] == "Garage" for found in answers), "there was always an answer"
            assert (await titles(caller, "vehicle", SEMANTIC))[0] == "Garage"
            assert (await titles(caller, "hound", SEMANTIC))[0] == "Kennel"
    assert {request.body["model"] for request in world.upstream.requests} == {"embed-two"}
    about = json.loads((world.home / "retrieval" / "index" / "current.json").read_text())
    assert about == {"model": "embed-two", "dimensions": 96}


async def test_a_model_that_is_no_more_asked_for_leaves_what_is_found_by_words(world: World) -> None:
    async with world.inference():
        async with world.retrieval() as retrieval:
            caller = retrieval.caller()
            await until(lambda: by_meaning(caller), "the index is one with meanings")
            await caller.create(GARAGE)
        async with world.retrieval("") as retrieval:
            caller = retrieval.caller(caller.user_id)
            found = await answer(caller, "automobile")
            assert (found.mode, [hit.document_title for hit in found.hits]) == (KEYWORD, ["Garage"])


async def test_pages_of_an_answer_by_both_have_every_passage_once(world: World) -> None:
    async with world.inference(), world.retrieval() as retrieval:
        caller = retrieval.caller()
        await until(lambda: by_meaning(caller), "the index is one with meanings")
        # As long as passages usually are: shorter ones are weighed anew in the background, by and by.
        parts = [
            f"# Part {part}\n\nheron {'car ' * (part % 5)} number {part} {'by the river ' * 33}" for part in range(60)
        ]
        await caller.create("\n\n".join(parts))
        whole = [hit.chunk_id for hit in (await answer(caller, "heron vehicle", limit=50)).hits]
        paged: list[str] = []
        token = ""
        while True:
            page = await answer(caller, "heron vehicle", limit=7, page_token=token)
            assert page.mode == HYBRID
            paged += [hit.chunk_id for hit in page.hits]
            token = page.next_page_token
            if not token:
                break
        assert len(paged) == len(set(paged)) == 60
        assert paged[:50] == whole


async def put_tasks(caller: Any, version: int, **texts: str) -> None:
    items = [
        index_service_pb2.IndexItem(item_type="task", item_id=name, version=version, title=name, text=text)
        for name, text in texts.items()
    ]
    for item in items:
        item.update_time.GetCurrentTime()
    stub = index_service_pb2_grpc.IndexServiceStub(caller.retrieval.channel)
    await stub.PutItems(index_service_pb2.PutItemsRequest(items=items), metadata=caller.metadata)


async def test_items_are_found_by_their_meaning_at_once_or_when_the_model_is_back(world: World) -> None:
    scopes = ("documents:read", "documents:write", "index:write")
    async with world.retrieval() as retrieval:
        caller = retrieval.caller(scopes=scopes)
        async with world.inference():
            await until(lambda: by_meaning(caller), "the index is one with meanings")
            await put_tasks(caller, 1, garage="The automobile is to be washed.", kennel="Feed the puppy.")
            assert (await titles(caller, "vehicle", SEMANTIC, include_items=True))[0] == "garage"
            assert (await titles(caller, "dog", SEMANTIC, include_items=True))[0] == "kennel"
            assert await titles(caller, "dog", SEMANTIC, exclude_shared=True) == []
        await put_tasks(caller, 2, garage="Nothing is to be done.", kennel="Sell the automobile.")
        assert await titles(caller, "automobile", include_items=True) == ["kennel"]
        async with world.inference():

            async def is_found() -> bool:
                found = await answer(caller, "vehicle", SEMANTIC, include_items=True)
                return found.mode == SEMANTIC and bool(found.hits) and found.hits[0].document_title == "kennel"

            await until(is_found, "the tasks have their meaning")
