"""Turns, sessions and messages of somebody else do not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import reason_of, resume, stream

NO_TURN = "trn_" + "0" * 32
NO_SESSION = "ses_" + "0" * 32
NO_MESSAGE = "msg_" + "0" * 32


async def test_another_users_session_turn_and_messages_do_not_exist(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("private")
    started = (await reader.until("started")).started
    turn_id = reader.events[0].turn_id
    chat, metadata = running.chat, carol.metadata
    attempts: list[tuple[Callable[[str, str, str], Awaitable[Any]], str]] = [
        (lambda s, _t, _m: chat.GetSession(pb.GetSessionRequest(session_id=s), metadata=metadata), "session"),
        (lambda s, _t, _m: chat.UpdateSession(pb.UpdateSessionRequest(session_id=s), metadata=metadata), "session"),
        (lambda s, _t, _m: chat.DeleteSession(pb.DeleteSessionRequest(session_id=s), metadata=metadata), "session"),
        (lambda s, _t, _m: chat.ListMessages(pb.ListMessagesRequest(session_id=s), metadata=metadata), "session"),
        (
            lambda s, _t, _m: chat.SendMessage(pb.SendMessageRequest(message="x", session_id=s), metadata=metadata),
            "session",
        ),
        (lambda s, _t, _m: stream(running, carol, session_id=s).to_end(), "session"),
        (lambda _s, t, _m: resume(running, carol, t).to_end(), "turn"),
        (lambda _s, t, _m: chat.StopReply(pb.StopReplyRequest(turn_id=t), metadata=metadata), "turn"),
    ]
    for attempt, resource in attempts:
        words = []
        for ids in ((started.session_id, turn_id, started.message_id), (NO_SESSION, NO_TURN, NO_MESSAGE)):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await attempt(*ids)
            assert refusal.value.code() is grpc.StatusCode.NOT_FOUND, resource
            assert reason_of(refusal.value) == "ERROR_REASON_RESOURCE_NOT_FOUND"
            words.append(refusal.value.details())
        assert words[0] == words[1]
    mine = await chat.CreateSession(pb.CreateSessionRequest(), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stream(running, carol, session_id=mine.session.session_id, parent_message_id=started.message_id).to_end()
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    call.finish()
    await reader.to_end()
    assert reader.kinds()[-1] == "completed"
