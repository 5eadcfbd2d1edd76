"""A message that is sent again under its name: one turn, one answer."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import reason_of, stream


async def test_a_repeated_send_attaches_to_the_turn_that_exists(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    readers = [stream(running, alice, client_message_id="mine") for _ in range(20)]
    call = await inference.next_call()
    call.say("once")
    call.finish()
    await asyncio.gather(*(reader.to_end() for reader in readers))
    assert inference.calls == 1
    assert len({reader.events[0].turn_id for reader in readers}) == 1
    assert {reader.text() for reader in readers} == {"once"}
    whole = await running.chat.SendMessage(
        pb.SendMessageRequest(message="How do I add a provider?", client_message_id="mine"), metadata=alice.metadata
    )
    assert whole.text == "once"
    assert inference.calls == 1
    sessions = await running.chat.ListSessions(pb.ListSessionsRequest(), metadata=alice.metadata)
    assert len(sessions.sessions) == 1


async def test_another_message_under_the_same_name_is_refused(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    reader = stream(running, alice, client_message_id="mine")
    (await inference.next_call()).finish()
    await reader.to_end()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stream(running, alice, client_message_id="mine", message="Something else").to_end()
    assert refusal.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(refusal.value) == "ERROR_REASON_CLIENT_MESSAGE_ID_REUSED"
    # Names are each user's own.
    other = stream(running, carol, client_message_id="mine", message="Something else")
    (await inference.next_call()).finish()
    await other.to_end()
    assert other.kinds()[-1] == "completed"


async def test_a_repeated_send_has_its_answer_also_when_the_events_are_gone(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, client_message_id="mine")
    call = await inference.next_call()
    call.say("Kept.")
    call.finish()
    turn_id = (await reader.to_end())[0].turn_id
    await running.app.turns.forget([turn_id])
    request = pb.SendMessageRequest(message="How do I add a provider?", client_message_id="mine")
    response = await running.chat.SendMessage(request, metadata=alice.metadata)
    assert (response.text, response.turn_id) == ("Kept.", turn_id)
    assert inference.calls == 1
