"""EventService: what changed in what a user owns, in its order, once, to nobody else, as it happens."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2, message_pb2
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.workspace.v1 import task_service_pb2, task_service_pb2_grpc
from parley_shared.status import status_error_from
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream

CREATED, UPDATED, DELETED = event_pb2.ACTION_CREATED, event_pb2.ACTION_UPDATED, event_pb2.ACTION_DELETED
SESSION, MESSAGE, TASK = (
    event_pb2.RESOURCE_TYPE_SESSION,
    event_pb2.RESOURCE_TYPE_MESSAGE,
    event_pb2.RESOURCE_TYPE_TASK,
)


async def events_of(running: RunningChat, person: Person, **fields: Any) -> event_service_pb2.ListEventsResponse:
    stub = event_service_pb2_grpc.EventServiceStub(running.channel)
    return await stub.ListEvents(event_service_pb2.ListEventsRequest(**fields), metadata=person.metadata)


async def make_task(running: RunningChat, person: Person, title: str = "Pay") -> str:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    made = await stub.CreateTask(task_service_pb2.CreateTaskRequest(title=title), metadata=person.metadata)
    return made.task.task_id


class Watcher:
    """Reads a stream of events."""

    def __init__(self, running: RunningChat, person: Person, **fields: Any) -> None:
        stub = event_service_pb2_grpc.EventServiceStub(running.channel)
        self.call: Any = stub.WatchEvents(event_service_pb2.WatchEventsRequest(**fields), metadata=person.metadata)

    async def next(self) -> event_service_pb2.WatchEventsResponse:
        async with asyncio.timeout(30):
            response: event_service_pb2.WatchEventsResponse = await self.call.read()
        return response

    async def next_event(self) -> event_pb2.Event:
        while True:
            response = await self.next()
            if response.HasField("event"):
                return response.event


async def test_a_turn_is_told_from_its_question_to_the_end_of_its_answer(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Like this.")
    call.finish()
    await reader.to_end()
    page = await events_of(running, alice)
    told = [(event.action, event.resource_type) for event in page.events]
    assert told == [(CREATED, SESSION), (CREATED, MESSAGE), (CREATED, MESSAGE), (UPDATED, MESSAGE), (UPDATED, SESSION)]
    assert [event.sequence for event in page.events] == [1, 2, 3, 4, 5]
    assert (page.next_after_sequence, page.newest_sequence) == (5, 5)
    _, question, begun, ended, session = page.events
    assert question.message.text == "How do I add a provider?"
    assert begun.message.state == message_pb2.MESSAGE_STATE_STREAMING
    assert ended.message == reader.events[-1].completed.message
    assert {event.turn_id for event in (question, begun, ended)} == {reader.events[0].turn_id}
    stored = await running.chat.GetSession(
        chat_service_pb2.GetSessionRequest(session_id=session.resource_id), metadata=alice.metadata
    )
    assert session.session == stored.session


async def test_sessions_that_are_made_named_and_deleted_are_told(running: RunningChat, alice: Person) -> None:
    made = await running.chat.CreateSession(chat_service_pb2.CreateSessionRequest(title="One"), metadata=alice.metadata)
    session_id = made.session.session_id
    await running.chat.UpdateSession(
        chat_service_pb2.UpdateSessionRequest(session_id=session_id, title="Two"), metadata=alice.metadata
    )
    await running.chat.DeleteSession(
        chat_service_pb2.DeleteSessionRequest(session_id=session_id), metadata=alice.metadata
    )
    page = await events_of(running, alice)
    assert [(event.action, event.session.title) for event in page.events] == [
        (CREATED, "One"), (UPDATED, "Two"), (DELETED, ""),
    ]  # fmt: skip
    assert not page.events[-1].HasField("session")


async def test_a_task_that_a_model_makes_names_its_turn_and_one_that_did_not_change_is_not_told(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    task_id = await make_task(running, alice, "By hand")
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    for _ in range(2):
        await stub.CompleteTask(task_service_pb2.CompleteTaskRequest(task_id=task_id), metadata=alice.metadata)
    reader = stream(running, alice)
    call = await inference.next_call()
    call.call_tool("create_task", '{"title": "By the model"}')
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    (await inference.next_call()).finish()
    await reader.to_end()
    page = await events_of(running, alice, resource_types=[TASK])
    assert [(event.action, event.task.title, bool(event.turn_id)) for event in page.events] == [
        (CREATED, "By hand", False), (UPDATED, "By hand", False), (CREATED, "By the model", True),
    ]  # fmt: skip
    assert page.events[-1].turn_id == reader.events[0].turn_id
    assert page.next_after_sequence == page.newest_sequence > page.events[-1].sequence


async def test_a_change_that_is_refused_is_not_told(running: RunningChat, alice: Person) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await make_task(running, alice, "")
    await make_task(running, alice)
    assert [event.sequence for event in (await events_of(running, alice)).events] == [1]


async def test_changes_at_the_same_time_have_places_without_gaps(running: RunningChat, alice: Person) -> None:
    await asyncio.gather(*(make_task(running, alice, str(number)) for number in range(20)))
    events = (await events_of(running, alice)).events
    assert [event.sequence for event in events] == list(range(1, 21))
    assert {event.task.title for event in events} == {str(number) for number in range(20)}


async def test_pages_go_on_after_their_cursor(running: RunningChat, alice: Person) -> None:
    for number in range(5):
        await make_task(running, alice, str(number))
    seen: list[str] = []
    after = 0
    while True:
        page = await events_of(running, alice, after_sequence=after, page_size=2)
        seen += [event.task.title for event in page.events]
        if page.next_after_sequence == after:
            break
        after = page.next_after_sequence
    assert seen == ["0", "1", "2", "3", "4"]


async def test_nobody_is_told_of_what_is_anothers(running: RunningChat, alice: Person, carol: Person) -> None:
    watcher = Watcher(running, carol)
    assert not (await watcher.next()).HasField("event")
    await make_task(running, alice, "Alice's")
    await make_task(running, carol, "Carol's")
    assert (await watcher.next_event()).task.title == "Carol's"
    assert [event.task.title for event in (await events_of(running, carol)).events] == ["Carol's"]
    watcher.call.cancel()


async def test_a_watcher_gets_what_was_and_then_what_happens_and_goes_on_where_it_was_cut(
    running: RunningChat, alice: Person
) -> None:
    await make_task(running, alice, "before")
    watcher = Watcher(running, alice)
    assert (await watcher.next_event()).task.title == "before"
    await make_task(running, alice, "live")
    live = await watcher.next_event()
    assert live.task.title == "live"
    watcher.call.cancel()
    await make_task(running, alice, "missed")
    again = Watcher(running, alice, after_sequence=live.sequence)
    assert (await again.next_event()).task.title == "missed"
    again.call.cancel()


async def test_a_watcher_of_the_present_gets_only_what_happens_from_then_on(
    running: RunningChat, alice: Person
) -> None:
    await make_task(running, alice, "past")
    watcher = Watcher(running, alice, after_sequence=-1)
    assert (await watcher.next()).sequence == 1
    await make_task(running, alice, "present")
    assert (await watcher.next_event()).task.title == "present"
    watcher.call.cancel()


async def test_a_watcher_of_some_kinds_has_its_cursor_moved_over_the_others(
    running: RunningChat, alice: Person
) -> None:
    watcher = Watcher(running, alice, resource_types=[TASK])
    await watcher.next()
    await running.chat.CreateSession(chat_service_pb2.CreateSessionRequest(), metadata=alice.metadata)
    passed_over = await watcher.next()
    assert (passed_over.HasField("event"), passed_over.sequence) == (False, 1)
    await make_task(running, alice)
    assert (await watcher.next_event()).sequence == 2
    watcher.call.cancel()


async def test_what_happens_at_one_replica_is_told_at_the_other(
    tmp_path: Any, inference: ScriptedInference, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    shared = {
        "PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_CHAT_REDIS_URL": redis_server.new_url(),
    }
    async with (
        running_chat(tmp_path, inference=inference.address, **shared) as one,
        running_chat(tmp_path, inference=inference.address, **shared) as two,
    ):
        ada = await one.sign_up()
        watcher = Watcher(two, ada)
        await watcher.next()
        await asyncio.gather(*(make_task(each, ada, str(number)) for number in range(6) for each in (one, two)))
        assert [(await watcher.next_event()).sequence for _ in range(12)] == list(range(1, 13))
        watcher.call.cancel()


@pytest.mark.parametrize(
    ("rpc", "fields", "field"),
    [
        ("ListEvents", {"after_sequence": -1}, "after_sequence"),
        ("ListEvents", {"page_size": 201}, "page_size"),
        ("ListEvents", {"resource_types": [0]}, "resource_types[0]"),
        ("ListEvents", {"resource_types": [1] * 50}, "resource_types"),
        ("WatchEvents", {"after_sequence": -2}, "after_sequence"),
        ("WatchEvents", {"resource_types": [99]}, "resource_types[0]"),
    ],
)
async def test_a_field_of_a_request_for_events_that_is_out_of_bounds_is_named(
    running: RunningChat, alice: Person, rpc: str, fields: dict[str, Any], field: str
) -> None:
    stub = event_service_pb2_grpc.EventServiceStub(running.channel)
    request = getattr(event_service_pb2, f"{rpc}Request")(**fields)
    call: Any = getattr(stub, rpc)(request, metadata=alice.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (call if rpc == "ListEvents" else call.read())
    assert status_error_from(refused.value).metadata["field"] == field
