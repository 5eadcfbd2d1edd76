"""Sessions and their messages through ChatService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from parley.chat.v1 import chat_service_pb2 as pb
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_shared.status import status_error_from
from parley_testing.new_turns import new_turn
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference


async def ask(
    running: RunningChat, inference: ScriptedInference, person: Person, text: str, session_id: str = ""
) -> str:
    """Sends a message, has it answered with "Answer to …", and gives the session."""
    call = running.chat.StreamReply(
        pb.StreamReplyRequest(message=text, session_id=session_id), metadata=person.metadata
    )
    generation = await inference.next_call()
    generation.say(f"Answer to {text}")
    generation.finish()
    events = [response.event async for response in call]
    return events[0].started.session_id


async def list_all(running: RunningChat, person: Person, page_size: int) -> list[str]:
    ids: list[str] = []
    token = ""
    while True:
        page = await running.chat.ListSessions(
            pb.ListSessionsRequest(page_size=page_size, page_token=token), metadata=person.metadata
        )
        assert len(page.sessions) <= page_size
        ids += [session.session_id for session in page.sessions]
        token = page.next_page_token
        if not token:
            return ids


async def test_sessions_are_listed_page_by_page_the_last_used_first(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    bob = await running.sign_up()
    made = []
    for number in range(7):
        response = await running.chat.CreateSession(
            pb.CreateSessionRequest(title=f"Session {number}"), metadata=alice.metadata
        )
        made.append(response.session.session_id)
    await running.chat.CreateSession(pb.CreateSessionRequest(title="Bob's"), metadata=bob.metadata)
    assert await list_all(running, alice, 3) == made[::-1]
    await ask(running, inference, alice, "Hello there, oldest", made[0])
    assert await list_all(running, alice, 2) == [made[0], *made[:0:-1]]


async def test_the_first_message_names_a_session_until_its_user_does(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    session_id = await ask(running, inference, alice, "How do I bake bread?\nQuickly.")
    request = pb.GetSessionRequest(session_id=session_id)
    got = await running.chat.GetSession(request, metadata=alice.metadata)
    assert got.session.title == "How do I bake bread?"
    assert got.session.tip_message_id
    assert got.session.running_turn_id == ""
    renamed = await running.chat.UpdateSession(
        pb.UpdateSessionRequest(session_id=session_id, title="Bread", update_mask=FieldMask(paths=["title"])),
        metadata=alice.metadata,
    )
    assert renamed.session.title == "Bread"
    await ask(running, inference, alice, "And cake?", session_id)
    assert (await running.chat.GetSession(request, metadata=alice.metadata)).session.title == "Bread"


async def test_an_empty_session_takes_its_title_from_its_first_message(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    made = await running.chat.CreateSession(pb.CreateSessionRequest(), metadata=alice.metadata)
    assert made.session.title == ""
    await ask(running, inference, alice, "What is rye?", made.session.session_id)
    got = await running.chat.GetSession(
        pb.GetSessionRequest(session_id=made.session.session_id), metadata=alice.metadata
    )
    assert got.session.title == "What is rye?"


async def test_a_session_tells_the_turn_that_runs_in_it(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    call = running.chat.StreamReply(pb.StreamReplyRequest(message="Slow one"), metadata=alice.metadata)
    generation = await inference.next_call()
    response = await call.read()
    assert isinstance(response, pb.StreamReplyResponse)
    first = response.event
    request = pb.GetSessionRequest(session_id=first.started.session_id)
    assert (await running.chat.GetSession(request, metadata=alice.metadata)).session.running_turn_id == first.turn_id
    generation.finish()
    while await call.read() is not grpc.aio.EOF:
        pass
    assert (await running.chat.GetSession(request, metadata=alice.metadata)).session.running_turn_id == ""


async def test_search_finds_words_in_titles_and_messages_of_ones_own_sessions(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    bob = await running.sign_up()
    bread = await ask(running, inference, alice, "How do I bake sourdough bread?")
    cake = await ask(running, inference, alice, "Which flour for a cake? 100% ÄPFEL_x")
    await ask(running, inference, bob, "Bob bakes sourdough too")

    async def search(query: str) -> list[str]:
        response = await running.chat.SearchSessions(pb.SearchSessionsRequest(query=query), metadata=alice.metadata)
        for match in response.matches:
            assert len(match.snippet) <= 200
        return [match.session.session_id for match in response.matches]

    assert await search("SOURDOUGH") == [bread]
    assert await search("bread sourdough") == [bread]
    assert await search("bread cake") == []
    assert await search("answer to") == [cake, bread]
    assert await search("100%") == [cake]
    assert await search("%") == [cake]
    assert await search("l_x") == [cake]
    assert await search("äpfel") == [cake]
    await running.chat.UpdateSession(
        pb.UpdateSessionRequest(session_id=bread, title="Weekend plans"), metadata=alice.metadata
    )
    found = await running.chat.SearchSessions(pb.SearchSessionsRequest(query="weekend"), metadata=alice.metadata)
    assert [match.session.session_id for match in found.matches] == [bread]
    assert (found.matches[0].snippet, found.matches[0].message_id) == ("", "")


async def test_search_pages(running: RunningChat, inference: ScriptedInference, alice: Person) -> None:
    made = [await ask(running, inference, alice, f"needle {number}") for number in range(5)]
    found, token = [], ""
    for _ in range(3):
        page = await running.chat.SearchSessions(
            pb.SearchSessionsRequest(query="needle", page_size=2, page_token=token), metadata=alice.metadata
        )
        found += [match.session.session_id for match in page.matches]
        token = page.next_page_token
    assert token == ""
    assert found == made[::-1]


async def test_messages_are_listed_page_by_page_newest_first(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    session_id = ""
    for number in range(4):
        session_id = await ask(running, inference, alice, f"Question {number}", session_id)
    texts: list[str] = []
    token = ""
    while True:
        page = await running.chat.ListMessages(
            pb.ListMessagesRequest(session_id=session_id, page_size=3, page_token=token), metadata=alice.metadata
        )
        texts += [message.text for message in page.messages]
        token = page.next_page_token
        if not token:
            break
    assert texts == [text for number in (3, 2, 1, 0) for text in (f"Answer to Question {number}", f"Question {number}")]


async def test_a_page_of_long_messages_is_shorter_and_none_is_left_out(running: RunningChat, alice: Person) -> None:
    session = (await running.chat.CreateSession(pb.CreateSessionRequest(), metadata=alice.metadata)).session
    conversations = SqlConversations(running.app.database)
    for number in range(60):
        turn = new_turn(alice.user_id, session.session_id, f"{number} " + "語" * 31_000)
        await conversations.begin_turn(turn)
    told: list[str] = []
    token = ""
    while True:
        page = await running.chat.ListMessages(
            pb.ListMessagesRequest(session_id=session.session_id, page_size=200, page_token=token),
            metadata=alice.metadata,
        )
        told += [message.text.split(" ")[0] for message in page.messages if message.text]
        token = page.next_page_token
        if not token:
            break
    assert told == [str(number) for number in reversed(range(60))]


LONG = "x" * 40_000
SESSION = "ses_" + "0" * 32
TURN = "trn_" + "0" * 32
BAD: list[tuple[str, Any, str]] = [
    ("CreateSession", pb.CreateSessionRequest(title="x" * 201), "title"),
    ("CreateSession", pb.CreateSessionRequest(title="a\nb"), "title"),
    ("ListSessions", pb.ListSessionsRequest(page_size=-1), "page_size"),
    ("ListSessions", pb.ListSessionsRequest(page_size=101), "page_size"),
    ("ListSessions", pb.ListSessionsRequest(page_token="x" * 513), "page_token"),
    ("ListSessions", pb.ListSessionsRequest(page_token="bm9uc2Vuc2U"), "page_token"),
    ("SearchSessions", pb.SearchSessionsRequest(), "query"),
    ("SearchSessions", pb.SearchSessionsRequest(query="   "), "query"),
    ("SearchSessions", pb.SearchSessionsRequest(query="x" * 201), "query"),
    ("SearchSessions", pb.SearchSessionsRequest(query="a\0b"), "query"),
    ("GetSession", pb.GetSessionRequest(), "session_id"),
    ("GetSession", pb.GetSessionRequest(session_id="../etc/passwd"), "session_id"),
    ("GetSession", pb.GetSessionRequest(session_id=TURN), "session_id"),
    ("UpdateSession", pb.UpdateSessionRequest(session_id=SESSION, title="x" * 201), "title"),
    (
        "UpdateSession",
        pb.UpdateSessionRequest(session_id=SESSION, update_mask=FieldMask(paths=["create_time"])),
        "update_mask",
    ),
    ("DeleteSession", pb.DeleteSessionRequest(session_id="'; drop table sessions; --"), "session_id"),
    ("ListMessages", pb.ListMessagesRequest(session_id=SESSION, page_size=201), "page_size"),
    ("ListMessages", pb.ListMessagesRequest(session_id="x"), "session_id"),
    ("SendMessage", pb.SendMessageRequest(), "message"),
    ("SendMessage", pb.SendMessageRequest(message=" \n\t"), "message"),
    ("SendMessage", pb.SendMessageRequest(message=LONG), "message"),
    ("SendMessage", pb.SendMessageRequest(message="a\0b"), "message"),
    ("SendMessage", pb.SendMessageRequest(message="x", model="a\0b"), "model"),
    ("SendMessage", pb.SendMessageRequest(message="x", client_message_id="a b"), "client_message_id"),
    ("SendMessage", pb.SendMessageRequest(message="x", client_message_id="x" * 65), "client_message_id"),
    ("SendMessage", pb.SendMessageRequest(message="x", model="x" * 201), "model"),
    ("SendMessage", pb.SendMessageRequest.FromString(b"\n\x01x\x20\x63"), "route"),  # route = 99
    ("SendMessage", pb.SendMessageRequest(message="x", parent_message_id="msg_" + "0" * 32), "parent_message_id"),
    ("StreamReply", pb.StreamReplyRequest(message=LONG), "message"),
    ("StreamReply", pb.StreamReplyRequest(message="x", session_id="ses_zz"), "session_id"),
    ("ResumeReply", pb.ResumeReplyRequest(turn_id=SESSION), "turn_id"),
    ("ResumeReply", pb.ResumeReplyRequest(turn_id=TURN, after_sequence=-1), "after_sequence"),
    ("StopReply", pb.StopReplyRequest(turn_id="trn_"), "turn_id"),
]


@pytest.mark.parametrize(("method", "request_message", "field"), BAD, ids=lambda value: str(value)[:40])
async def test_a_field_out_of_its_bounds_is_named(
    running: RunningChat, alice: Person, method: str, request_message: Any, field: str
) -> None:
    call: Callable[..., Any] = getattr(running.chat, method)

    async def complete() -> None:
        answer = call(request_message, metadata=alice.metadata)
        if isinstance(answer, Awaitable):
            await answer
        else:
            async for _ in answer:
                pass

    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await complete()
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert status_error_from(refusal.value).metadata["field"] == field
    sessions = await running.chat.ListSessions(pb.ListSessionsRequest(), metadata=alice.metadata)
    assert not sessions.sessions, "a refused request leaves nothing behind"


async def test_a_request_larger_than_a_message_may_be_is_refused_before_it_is_read(
    running: RunningChat, alice: Person
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await running.chat.SendMessage(pb.SendMessageRequest(message="x" * 5_000_000), metadata=alice.metadata)
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_status_tells_each_service_and_the_model(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    import asyncio

    from parley.system.v1 import system_service_pb2 as system_pb

    async with asyncio.timeout(10):
        while True:
            status = await running.system.GetStatus(system_pb.GetStatusRequest(), metadata=alice.metadata)
            states = {service.service: service.state for service in status.services}
            if states["inference"] == system_pb.SERVING_STATE_SERVING:
                break
            await asyncio.sleep(0.02)
    assert list(states) == ["chat", "inference", "retrieval"]
    assert states["chat"] == system_pb.SERVING_STATE_SERVING
    assert states["retrieval"] in {system_pb.SERVING_STATE_UNREACHABLE, system_pb.SERVING_STATE_UNSPECIFIED}
    assert status.default_model == "scripted-1"
    assert status.state == system_pb.SERVING_STATE_SERVING
    health = await running.system.GetHealth(system_pb.GetHealthRequest())
    assert health.state == system_pb.SERVING_STATE_SERVING
    await inference.stop()
    async with asyncio.timeout(10):
        while health.state == system_pb.SERVING_STATE_SERVING:
            health = await running.system.GetHealth(system_pb.GetHealthRequest())
            await asyncio.sleep(0.02)
