"""Titles that models make: after the first answer, in the background, once, and never over what the user says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import session_pb2
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.turn_readers import stream

QUESTION = "How long is the notice period of my lease, and from when does it count?"


@pytest.fixture
async def titled(tmp_path: Path, inference: ScriptedInference) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TITLE_SECONDS="60") as running:
        yield running


@pytest.fixture
async def ada(titled: RunningChat) -> Person:
    return await titled.sign_up()


async def answered(
    running: RunningChat, inference: ScriptedInference, person: Person, text: str = "Three months.", **fields: Any
) -> str:
    """Has a message answered whole; gives the session."""
    reader = stream(running, person, **{"message": QUESTION, "route": 2, **fields})
    call = await inference.next_call()
    assert not is_of_title(call)
    call.say(text)
    call.finish()
    return (await reader.to_end())[0].started.session_id


def is_of_title(call: ScriptedCall) -> bool:
    return "You name conversations" in call.request.messages[0].text


async def next_title(inference: ScriptedInference) -> ScriptedCall:
    call = await inference.next_call()
    assert is_of_title(call)
    return call


async def session_of(running: RunningChat, person: Person, session_id: str) -> session_pb2.Session:
    return (
        await running.chat.GetSession(pb.GetSessionRequest(session_id=session_id), metadata=person.metadata)
    ).session


async def until_titles_are_counted(running: RunningChat, person: Person, count: int) -> usage_service_pb2.UsageRow:
    """Waits until so many titles are in the usage: then nothing more comes of them."""
    stub = usage_service_pb2_grpc.UsageServiceStub(running.channel)
    request = usage_service_pb2.GetUsageRequest(
        group_by=[usage_service_pb2.USAGE_DIMENSION_PURPOSE, usage_service_pb2.USAGE_DIMENSION_SESSION]
    )
    async with asyncio.timeout(60):
        while True:
            rows = (await stub.GetUsage(request, metadata=person.metadata)).rows
            titles = [row for row in rows if row.purpose == usage_service_pb2.USAGE_PURPOSE_TITLE]
            if sum(row.request_count for row in titles) >= count:
                return titles[0]
            await asyncio.sleep(0.02)


async def until_named(running: RunningChat, person: Person, session_id: str, title: str) -> None:
    """Watches the events until one says that the session is called so."""
    stub = event_service_pb2_grpc.EventServiceStub(running.channel)
    request = event_service_pb2.WatchEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_SESSION])
    async with asyncio.timeout(60):
        async for each in stub.WatchEvents(request, metadata=person.metadata):
            if (each.event.session.session_id, each.event.session.title) == (session_id, title):
                return


async def test_a_session_is_named_by_the_fast_model_after_its_first_answer_and_counts_once(
    titled: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    # The answer is whole, and nobody has named the session yet.
    session_id = await answered(titled, inference, ada)
    call = await next_title(inference)
    assert (await session_of(titled, ada, session_id)).title.startswith("How long is the notice period")
    assert call.request.model == "fast"
    assert 0 < call.request.sampling.max_output_tokens <= 500
    assert QUESTION in call.request.messages[-1].text
    assert "Three months." in call.request.messages[-1].text
    assert not call.request.tools
    call.use(100, 8)
    call.say('"Notice period ')
    call.say('of the lease."\n\nI hope that this helps.')
    call.finish()
    await until_named(titled, ada, session_id, "Notice period of the lease")
    row = await until_titles_are_counted(titled, ada, 1)
    assert (row.session_id, row.request_count, row.output_tokens) == (session_id, 1, 8)
    # It is named once.
    await answered(titled, inference, ada, session_id=session_id)
    await answered(titled, inference, ada, session_id=session_id)
    other = await answered(titled, inference, ada)
    call = await next_title(inference)
    call.say("Another one")
    call.finish()
    await until_named(titled, ada, other, "Another one")
    assert (await session_of(titled, ada, session_id)).title == "Notice period of the lease"


async def test_what_the_user_calls_a_session_stays(
    titled: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    named = (await titled.chat.CreateSession(pb.CreateSessionRequest(title="Mine"), metadata=ada.metadata)).session
    await answered(titled, inference, ada, session_id=named.session_id)
    # The first that is asked for is of another session, which is named meanwhile.
    session_id = await answered(titled, inference, ada)
    call = await next_title(inference)
    await titled.chat.UpdateSession(
        pb.UpdateSessionRequest(session_id=session_id, title="My lease"), metadata=ada.metadata
    )
    call.say("A model's")
    call.finish()
    await until_titles_are_counted(titled, ada, 1)
    third = await answered(titled, inference, ada)
    call = await next_title(inference)
    call.say("The third")
    call.finish()
    await until_named(titled, ada, third, "The third")
    assert (await session_of(titled, ada, named.session_id)).title == "Mine"
    assert (await session_of(titled, ada, session_id)).title == "My lease"


async def test_a_title_that_comes_to_nothing_leaves_the_session_as_it_is_and_is_not_tried_again(
    titled: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    sessions = []
    for way in ("fails", "is too long", "is nothing"):
        sessions.append(await answered(titled, inference, ada))
        call = await next_title(inference)
        if way == "fails":
            call.fail(grpc.StatusCode.UNAVAILABLE, "scripted")
            continue
        call.say("A title that goes on and on" if way == "is too long" else "***")
        call.finish(generation_pb2.FINISH_REASON_LENGTH if way == "is too long" else generation_pb2.FINISH_REASON_STOP)
    await until_titles_are_counted(titled, ada, 3)
    for session_id in sessions:
        await answered(titled, inference, ada, session_id=session_id)
        assert (await session_of(titled, ada, session_id)).title.startswith("How long is the notice period")


async def test_an_answer_that_fails_is_no_beginning_and_the_next_one_is(
    titled: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    reader = stream(titled, ada, message=QUESTION, route=2, on_failure=3)
    call = await inference.next_call()
    session_id = (await reader.until("started")).started.session_id
    call.fail(grpc.StatusCode.INVALID_ARGUMENT, "scripted")
    with pytest.raises(grpc.aio.AioRpcError):
        await reader.to_end()
    await answered(titled, inference, ada, session_id=session_id)
    call = await next_title(inference)
    call.say("Second try")
    call.finish()
    await until_named(titled, ada, session_id, "Second try")


async def test_a_process_that_ends_before_it_has_asked_leaves_the_title_to_a_later_answer(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TITLE_SECONDS="0") as running:
        ada = await running.sign_up()
        session_id = await answered(running, inference, ada)
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TITLE_SECONDS="60") as running:
        await answered(running, inference, ada, session_id=session_id)
        call = await next_title(inference)
        assert call.request.model == "fast"
    # It ended while it asked: the session keeps the title that it has.
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TITLE_SECONDS="60") as running:
        await answered(running, inference, ada, session_id=session_id)
        other = await answered(running, inference, ada)
        call = await next_title(inference)
        call.say("Another one")
        call.finish()
        await until_named(running, ada, other, "Another one")
        assert (await session_of(running, ada, session_id)).title.startswith("How long is the notice period")
