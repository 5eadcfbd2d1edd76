"""Two replicas of chat on one PostgreSQL and one Redis: it does not matter which of them is called, and either may go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_turn_log import RedisTurnLog
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_schema import replicas
from parley_chat.domain.conversation import MessageState
from parley_chat.domain.turn import TextDelta, TurnStarted, TurnState
from parley_shared.settings import SettingsError
from parley_testing.new_turns import new_turn
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import Reader, reason_of, resume, stream
from sqlalchemy import insert


@pytest.fixture
def shared(postgres: PostgresServer, redis_server: RedisServer) -> dict[str, str]:
    """The settings of replicas that belong together."""
    return {"PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(), "PARLEY_CHAT_REDIS_URL": redis_server.new_url()}


@pytest.fixture
async def one(tmp_path: Path, inference: ScriptedInference, shared: dict[str, str]) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path, inference=inference.address, **shared) as chat:
        yield chat


@pytest.fixture
async def two(
    tmp_path: Path, inference: ScriptedInference, shared: dict[str, str], one: RunningChat
) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path, inference=inference.address, **shared) as chat:
        yield chat


@pytest.fixture
async def ada(one: RunningChat) -> Person:
    return await one.sign_up()


async def test_what_one_replica_writes_is_followed_at_the_other_from_every_place(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    writer = stream(one, ada)
    call = await inference.next_call()
    readers: list[tuple[int, Reader]] = []
    for number in range(5):
        call.say(f"{number} ")
        last = await writer.until("delta")
        readers += [(0, resume(two, ada, last.turn_id)), (last.sequence, resume(two, ada, last.turn_id, last.sequence))]
    call.finish()
    await writer.to_end()
    for after, reader in readers:
        await reader.to_end()
        reader.assert_whole_from(after)
        assert reader.events[-1] == writer.events[-1]
    assert readers[0][1].text() == writer.text() == "0 1 2 3 4 "


async def test_a_resume_beyond_the_end_is_an_empty_stream_at_the_other_too(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    writer = stream(one, ada)
    (await inference.next_call()).finish()
    last = (await writer.to_end())[-1]
    for after in (last.sequence, last.sequence + 1, 2_147_483_647):
        assert await resume(two, ada, last.turn_id, after).to_end() == []


async def test_fifty_identical_sends_at_two_replicas_make_one_turn(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    readers = [stream(replica, ada, client_message_id="mine") for _ in range(25) for replica in (one, two)]
    call = await inference.next_call()
    call.say("once")
    call.finish()
    await asyncio.gather(*(reader.to_end() for reader in readers))
    assert inference.calls == 1
    assert len({reader.events[0].turn_id for reader in readers}) == 1
    assert {reader.text() for reader in readers} == {"once"}
    assert len({reader.events[-1].SerializeToString(deterministic=True) for reader in readers}) == 1
    for reader in readers:
        reader.assert_whole_from(0)
    whole = await two.chat.SendMessage(
        pb.SendMessageRequest(message="How do I add a provider?", client_message_id="mine"), metadata=ada.metadata
    )
    assert (whole.text, inference.calls) == ("once", 1)
    sessions = await one.chat.ListSessions(pb.ListSessionsRequest(), metadata=ada.metadata)
    assert len(sessions.sessions) == 1


async def test_a_whole_answer_can_be_waited_for_at_the_replica_that_does_not_write_it(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    writer = stream(one, ada, client_message_id="mine")
    call = await inference.next_call()
    whole = asyncio.ensure_future(
        two.chat.SendMessage(
            pb.SendMessageRequest(message="How do I add a provider?", client_message_id="mine"), metadata=ada.metadata
        )
    )
    call.say("Like this.")
    call.finish()
    await writer.to_end()
    assert (await whole).text == "Like this."


async def test_a_turn_is_stopped_through_the_other_replica(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    reader = stream(one, ada)
    call = await inference.next_call()
    call.say("Half an ")
    turn_id = (await reader.until("delta")).turn_id
    receipt = await two.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=ada.metadata)
    async with asyncio.timeout(30):
        await call.cancelled.wait()
    assert receipt.stopped
    assert (receipt.message.text, receipt.message.state) == ("Half an ", message_pb2.MESSAGE_STATE_STOPPED)
    await reader.to_end()
    assert reader.events[-1].stopped.message == receipt.message
    assert reader.events[-1].stopped.text_length == len("Half an ")
    for replica in (one, two):
        again = await replica.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=ada.metadata)
        assert (again.stopped, again.message) == (False, receipt.message)


async def test_a_replica_that_leaves_gives_its_turns_to_the_other_and_readers_miss_nothing(
    tmp_path: Path, inference: ScriptedInference, shared: dict[str, str]
) -> None:
    async with running_chat(tmp_path, inference=inference.address, **shared) as two:
        async with running_chat(tmp_path, inference=inference.address, **shared) as one:
            ada = await one.sign_up()
            reader = stream(one, ada)
            call = await inference.next_call()
            call.say("one ")
            last = await reader.until("delta")
            elsewhere = resume(two, ada, last.turn_id)
        call = await inference.next_call()
        assert call.request.answer_so_far == "one "
        call.say("two")
        call.finish()
        await elsewhere.to_end()
        elsewhere.assert_whole_from(0)
        assert elsewhere.text() == "one two"
        assert turn_event_pb2.NOTICE_KIND_CONTINUED in [event.notice.kind for event in elsewhere.events]
        resumed = resume(two, ada, last.turn_id, last.sequence)
        await resumed.to_end()
        resumed.assert_whole_from(last.sequence)
        assert resumed.text() == "two"


async def test_deleting_a_session_at_one_stops_what_the_other_writes_in_it(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    reader = stream(one, ada)
    started = (await reader.until("started")).started
    call = await inference.next_call()
    await two.chat.DeleteSession(pb.DeleteSessionRequest(session_id=started.session_id), metadata=ada.metadata)
    async with asyncio.timeout(30):
        await call.cancelled.wait()
    await reader.to_end()
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await resume(one, ada, reader.events[0].turn_id).to_end()
    assert gone.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_a_user_runs_at_one_replica_counts_at_the_other(
    tmp_path: Path, inference: ScriptedInference, shared: dict[str, str]
) -> None:
    limited = {**shared, "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER": "2"}
    async with (
        running_chat(tmp_path, inference=inference.address, **limited) as one,
        running_chat(tmp_path, inference=inference.address, **limited) as two,
    ):
        ada = await one.sign_up()
        calls = []
        for replica in (one, two):
            stream(replica, ada)
            calls.append(await inference.next_call())
        for replica in (one, two):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stream(replica, ada).to_end()
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert reason_of(refused.value) == "ERROR_REASON_TOO_MANY_TURNS"
        for call in calls:
            call.finish()


async def test_answers_of_two_replicas_wait_in_one_row(
    one: RunningChat, two: RunningChat, inference: ScriptedInference, ada: Person
) -> None:
    await inference.stop()
    readers = []
    for place, replica in enumerate((one, two, one), start=1):
        readers.append(stream(replica, ada, message=f"Question {place}", queue_when_unavailable=True))
        assert (await readers[-1].until("queued")).queued.place == place
    await inference.start()
    for _ in readers:
        call = await inference.next_call()
        call.say("yes")
        call.finish()
    for reader in readers:
        await reader.to_end()
        reader.assert_whole_from(0)
        assert reader.kinds()[-1] == "completed"


async def test_an_end_that_is_stored_and_not_in_the_log_has_one_place_wherever_one_resumes(
    one: RunningChat, two: RunningChat, ada: Person, shared: dict[str, str]
) -> None:
    session = (await one.chat.CreateSession(pb.CreateSessionRequest(), metadata=ada.metadata)).session
    conversations = SqlConversations(one.app.database)
    connection = RedisConnection(shared["PARLEY_CHAT_REDIS_URL"])
    log = RedisTurnLog(connection, retention_seconds=60)
    # What a replica leaves that dies between the two; nobody takes the turn over before its end is stored.
    new = new_turn(ada.user_id, session.session_id)
    lease = {"lease_expire_time": datetime.now(UTC) + timedelta(minutes=5), "has_shared_log": True}
    async with one.app.database.write() as writing:
        await writing.execute(insert(replicas).values(replica_id=new.owner_id, **lease))
    writer = await log.begin(new.turn_id)
    turn = (await conversations.begin_turn(new)).turn
    await writer.append(
        [
            TurnStarted(turn.session_id, turn.user_message_id, turn.message_id, turn.client_message_id, ""),
            TextDelta("x"),
        ]
    )
    message = replace(await conversations.get_message(turn.message_id), state=MessageState.COMPLETED, text="x")
    assert await conversations.finish_turn(turn.turn_id, turn.fence, TurnState.COMPLETED, message)
    await log.close()
    await connection.close()
    for replica in (one, two):
        for after, kinds in ((0, ["started", "delta", "completed"]), (2, ["completed"]), (3, []), (4, [])):
            reader = resume(replica, ada, turn.turn_id, after)
            await reader.to_end()
            assert reader.kinds() == kinds
            reader.assert_whole_from(after)


async def test_a_replica_without_the_shared_log_does_not_start_beside_one_that_has_it(
    tmp_path: Path, one: RunningChat, shared: dict[str, str]
) -> None:
    alone = {"PARLEY_CHAT_DATABASE_URL": shared["PARLEY_CHAT_DATABASE_URL"]}
    with pytest.raises(SettingsError, match="PARLEY_CHAT_REDIS_URL"):
        async with running_chat(tmp_path / "other", inference="127.0.0.1:1", **alone):
            pass
