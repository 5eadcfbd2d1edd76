"""What stops a turn: Stop, a cut call of a turn that is not detached, the end of its session."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.domain.conversation import OnFailure, Route
from parley_chat.domain.errors import TurnStoppedError
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.turns import ReplyRequest
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import resume, stream


async def test_stop_reaches_inference_and_keeps_what_was_written(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half an ")
    turn_id = (await reader.until("delta")).turn_id
    receipt = await running.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    async with asyncio.timeout(30):
        await call.cancelled.wait()
    assert receipt.stopped
    assert receipt.message.text == "Half an "
    assert receipt.message.state == message_pb2.MESSAGE_STATE_STOPPED
    assert receipt.message.usage.estimated
    assert receipt.message.usage.output_tokens > 0
    await reader.to_end()
    assert reader.kinds()[-1] == "stopped"
    assert reader.events[-1].stopped.message == receipt.message
    assert await reader.call.code() is grpc.StatusCode.OK

    again = await running.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    assert not again.stopped
    assert again.message == receipt.message


async def test_cutting_the_call_stops_a_turn_that_is_not_detached(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, detach=False)
    call = await inference.next_call()
    call.say("Half")
    turn_id = (await reader.until("delta")).turn_id
    reader.call.cancel()
    async with asyncio.timeout(30):
        await call.cancelled.wait()
    resumed = resume(running, alice, turn_id)
    await resumed.to_end()
    assert resumed.kinds()[-1] == "stopped"


async def test_cutting_the_call_stops_a_turn_that_is_not_detached_also_while_it_begins(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    turns = running.app.turns
    request = ReplyRequest(alice.user_id, "Wait!", "", "mine", Route.STANDARD, "", None, OnFailure.CONTINUE)
    async with running.app.database.write():  # holds the turn up in the middle of its beginning
        cut = asyncio.create_task(turns.begin(request, stop_when_cut=True))
        for _ in range(3):  # the call, its turn's task, and once more
            await asyncio.sleep(0)
        assert list(running.app.settings.turn_log_folder.iterdir()), "the turn does not begin yet"
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
    turn = await turns.begin(request)
    with pytest.raises(TurnStoppedError):
        async with asyncio.timeout(30):
            await turns.answer_of(turn)


async def test_cutting_the_call_leaves_a_turn_that_another_reader_watches(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, detach=False)
    call = await inference.next_call()
    call.say("Half")
    turn_id = (await reader.until("delta")).turn_id
    other = resume(running, alice, turn_id)
    await other.until("delta")
    reader.call.cancel()
    call.say(" and half")
    await other.until("delta")
    call.finish()
    await other.to_end()
    assert other.kinds()[-1] == "completed"


async def test_a_stop_also_ends_the_waiting_for_inference(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    await inference.stop()
    reader = stream(running, alice)
    while (await reader.until("notice")).notice.kind != turn_event_pb2.NOTICE_KIND_TRYING_AGAIN:
        pass
    receipt = await running.chat.StopReply(
        pb.StopReplyRequest(turn_id=reader.events[0].turn_id), metadata=alice.metadata
    )
    assert receipt.stopped
    await reader.to_end()
    assert reader.kinds()[-1] == "stopped"


async def test_deleting_a_session_stops_what_runs_in_it_and_leaves_nothing(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("gone")
    await reader.until("delta")
    session_id, turn_id = reader.events[0].started.session_id, reader.events[0].turn_id
    await running.chat.DeleteSession(pb.DeleteSessionRequest(session_id=session_id), metadata=alice.metadata)
    async with asyncio.timeout(30):
        await call.cancelled.wait()
    await reader.to_end()
    assert reader.kinds()[-1] == "stopped"
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await resume(running, alice, turn_id).to_end()
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert list(running.app.settings.turn_log_folder.glob("trn_*")) == []


class MessageComesIn(SqlConversations):
    """Conversations to which a message is sent when a session has been stopped and is not yet deleted."""

    def __init__(self, running: RunningChat) -> None:
        super().__init__(running.app.database)
        self._turns = running.app.turns

    async def delete_session(self, user_id: str, session_id: str) -> list[str]:
        await self._turns.begin(
            ReplyRequest(user_id, "Wait!", session_id, "", Route.STANDARD, "", None, OnFailure.CONTINUE)
        )
        return await super().delete_session(user_id, session_id)


async def test_a_message_that_comes_in_while_its_session_is_deleted_is_not_answered(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    created = await running.chat.CreateSession(pb.CreateSessionRequest(), metadata=alice.metadata)
    sessions = Sessions(MessageComesIn(running), running.app.turns, lambda: datetime.now(UTC))
    await sessions.delete(alice.user_id, created.session.session_id)
    assert running.app.turns.running_count == 0
    assert list(running.app.settings.turn_log_folder.glob("trn_*")) == []
