"""Turns while inference, the turn log or the database fails."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.domain.conversation import OnFailure, Route
from parley_chat.operations import running_turns
from parley_chat.operations.turns import ReplyRequest
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import reason_of, resume, stream


@pytest.mark.parametrize("way", ["refuse", "break off"])
async def test_when_inference_fails_the_stream_ends_with_a_typed_failure_and_its_status(
    running: RunningChat, inference: ScriptedInference, alice: Person, way: str
) -> None:
    reader = stream(running, alice, on_failure=message_pb2.ON_FAILURE_FAIL)
    call = await inference.next_call()
    call.say("Half")
    await reader.until("delta")
    if way == "refuse":
        call.fail(grpc.StatusCode.UNAVAILABLE, "secret words of a socket")
    else:
        call.break_off()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader.to_end()
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reader.kinds()[-1] == "failed"
    failed = reader.events[-1].failed
    assert failed.failure.code == 14
    assert failed.failure.retryable
    assert "secret" not in failed.failure.message
    assert failed.message.text == "Half"
    assert failed.message.state == message_pb2.MESSAGE_STATE_FAILED


async def test_an_answer_goes_on_from_where_it_was_when_inference_comes_back(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    assert call.request.answer_so_far == ""
    call.say("Half ")
    await reader.until("delta")
    await inference.stop()
    await inference.start()
    call = await inference.next_call()
    assert call.request.answer_so_far == "Half "
    call.say("and half.")
    call.use(10, 3)
    call.finish()
    await reader.to_end()
    reader.assert_whole_from(0)
    assert reader.text() == "Half and half."
    message = reader.events[-1].completed.message
    assert message.text == "Half and half."
    assert message.usage.estimated, "the attempt that broke off is on the account too"
    assert message.usage.output_tokens == 3 + 2
    notices = [event.notice.kind for event in reader.events if event.HasField("notice")]
    assert notices == [turn_event_pb2.NOTICE_KIND_WITHOUT_CONTEXT, turn_event_pb2.NOTICE_KIND_TRYING_AGAIN]


async def test_an_answer_begins_anew_when_that_is_asked_for(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, on_failure=message_pb2.ON_FAILURE_RESTART)
    call = await inference.next_call()
    call.say("Half ")
    await reader.until("delta")
    await inference.stop()
    await inference.start()
    call = await inference.next_call()
    assert call.request.answer_so_far == ""
    call.say("Whole.")
    call.finish()
    await reader.to_end()
    reader.assert_whole_from(0)
    assert [kind for kind in reader.kinds() if kind in {"delta", "restarted"}] == ["delta", "restarted", "delta"]
    assert reader.events[-1].completed.message.text == "Whole."


async def test_when_inference_stays_down_the_message_is_kept_and_the_failure_says_what_to_do(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    await inference.stop()
    async with running_chat(
        tmp_path, inference=inference.address, PARLEY_CHAT_INFERENCE_PATIENCE_SECONDS="0.5"
    ) as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await reader.to_end()
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(failure.value) == "ERROR_REASON_SERVICE_UNAVAILABLE"
        assert turn_event_pb2.NOTICE_KIND_TRYING_AGAIN in [event.notice.kind for event in reader.events]
        session_id = reader.events[0].started.session_id
        listed = await running.chat.ListMessages(pb.ListMessagesRequest(session_id=session_id), metadata=alice.metadata)
        assert [message.text for message in listed.messages] == ["", "How do I add a provider?"]
        assert listed.messages[0].failure.reason == "ERROR_REASON_SERVICE_UNAVAILABLE"
        assert listed.messages[0].usage.input_tokens == 0, "nobody read anything"


async def test_an_answer_that_is_stored_counts_although_its_log_could_not_be_ended(
    running: RunningChat, inference: ScriptedInference, alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    turns = running.app.turns
    request = ReplyRequest(alice.user_id, "Wait!", "", "", Route.STANDARD, "", None, OnFailure.CONTINUE)
    turn = await turns.begin(request)
    waiting = asyncio.create_task(turns.answer_of(turn))
    call = await inference.next_call()
    call.say("Whole.")
    await resume(running, alice, turn.turn_id).until("delta")
    await turns.forget([turn.turn_id])  # from now on nothing can be logged
    call.finish()
    async with asyncio.timeout(30):
        answer = await waiting
    assert answer.text == "Whole."
    assert "the log of a turn could not be written" in caplog.messages
    listed = await running.chat.ListMessages(
        pb.ListMessagesRequest(session_id=turn.session_id), metadata=alice.metadata
    )
    assert listed.messages[0].state == message_pb2.MESSAGE_STATE_COMPLETED


async def test_an_outcome_that_cannot_be_stored_is_told_and_stored_when_the_database_takes_it(
    running: RunningChat, inference: ScriptedInference, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_turns, "FINISH_PAUSES_SECONDS", (0.01,))
    monkeypatch.setattr(running_turns, "STORE_LATER_SECONDS", 0.05)
    finish, full = SqlConversations.finish_turn, True

    async def finish_when_there_is_room(self: SqlConversations, *arguments: Any) -> bool:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return await finish(self, *arguments)

    monkeypatch.setattr(SqlConversations, "finish_turn", finish_when_there_is_room)
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half")
    call.finish()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader.to_end()
    assert failure.value.code() is grpc.StatusCode.INTERNAL
    assert reader.events[-1].failed.message.text == "Half"
    request = pb.ListMessagesRequest(session_id=reader.events[0].started.session_id)
    listed = await running.chat.ListMessages(request, metadata=alice.metadata)
    assert listed.messages[0].state == message_pb2.MESSAGE_STATE_STREAMING
    full = False
    async with asyncio.timeout(30):
        while listed.messages[0].state != message_pb2.MESSAGE_STATE_FAILED:
            listed = await running.chat.ListMessages(request, metadata=alice.metadata)
    assert listed.messages[0].text == "Half"
