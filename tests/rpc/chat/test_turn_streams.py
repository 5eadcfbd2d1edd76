"""The events of a turn as its readers get them: their order, a cut stream, several readers, the whole answer."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley.inference.v1 import generation_pb2
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import reason_of, resume, stream


async def test_a_turn_streams_its_events_in_order_and_ends_with_the_stored_answer(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.think("Let me see.")
    call.say("Set ")
    await reader.until("delta")
    call.say("`OPENAI_API_KEY`.")
    call.use(120, 7)
    call.finish()
    await reader.to_end()

    reader.assert_whole_from(0)
    assert [kind for kind in reader.kinds() if kind != "delta"] == [
        "started", "route_chosen", "notice", "reasoning_delta", "completed",
    ]  # fmt: skip
    assert reader.text() == "Set `OPENAI_API_KEY`."
    message = reader.events[-1].completed.message
    assert message.text == reader.text()
    assert message.state == message_pb2.MESSAGE_STATE_COMPLETED
    assert (message.usage.input_tokens, message.usage.output_tokens, message.usage.estimated) == (120, 7, False)
    assert message.usage.time_to_first_token_ms <= message.usage.duration_ms
    assert message.model == "scripted-1"

    listed = await running.chat.ListMessages(
        pb.ListMessagesRequest(session_id=message.session_id), metadata=alice.metadata
    )
    assert listed.messages[0] == message
    assert [item.role for item in listed.messages] == [message_pb2.ROLE_ASSISTANT, message_pb2.ROLE_USER]
    assert listed.messages[0].parent_message_id == listed.messages[1].message_id
    assert listed.messages[1].text == "How do I add a provider?"


async def test_an_answer_never_holds_the_one_character_that_not_every_database_keeps(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.think("a\0")
    call.say("b\0c")
    call.finish()
    await reader.to_end()
    assert [event.reasoning_delta.text for event in reader.events if event.HasField("reasoning_delta")] == ["a\ufffd"]
    assert reader.text() == reader.events[-1].completed.message.text == "b\ufffdc"


async def test_without_retrieval_the_answer_comes_without_context_and_says_so(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    notice = (await reader.until("notice")).notice
    assert notice.kind == turn_event_pb2.NOTICE_KIND_WITHOUT_CONTEXT
    assert notice.message
    call = await inference.next_call()
    assert not call.request.passages
    call.finish()
    await reader.to_end()
    assert reader.kinds()[-1] == "completed"


async def test_a_cut_stream_leaves_the_turn_running_and_resumes_after_the_last_event_seen(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("one ")
    last = await reader.until("delta")
    reader.call.cancel()
    call.say("two ")
    resumed = resume(running, alice, last.turn_id, last.sequence)
    await resumed.until("delta")
    call.say("three")
    call.finish()
    await resumed.to_end()
    resumed.assert_whole_from(last.sequence)
    assert resumed.text() == "two three"
    assert resumed.kinds()[-1] == "completed"
    assert not call.cancelled.is_set()


async def test_everybody_who_watches_sees_the_same_whenever_they_came(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    readers = []
    for number in range(5):
        call.say(f"{number} ")
        turn_id = (await reader.until("delta")).turn_id
        readers.append(resume(running, alice, turn_id))
    call.finish()
    await reader.to_end()
    for other in [*readers, resume(running, alice, turn_id)]:
        await other.to_end()
        other.assert_whole_from(0)
        assert other.text() == reader.text() == "0 1 2 3 4 "
        assert other.events[-1] == reader.events[-1]


async def test_a_resume_beyond_the_end_is_an_empty_stream(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    (await inference.next_call()).finish()
    last = (await reader.to_end())[-1]
    for after in (last.sequence, last.sequence + 1, 2_147_483_647):
        assert await resume(running, alice, last.turn_id, after).to_end() == []


async def test_send_message_gives_the_whole_answer(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    sending = asyncio.ensure_future(
        running.chat.SendMessage(pb.SendMessageRequest(message="How do I add a provider?"), metadata=alice.metadata)
    )
    call = await inference.next_call()
    call.say("Like ")
    call.say("this.")
    call.finish(generation_pb2.FINISH_REASON_LENGTH)
    response = await sending
    assert response.text == "Like this."
    assert response.route == message_pb2.ROUTE_ENHANCED
    assert response.route_reason
    assert response.session_id.startswith("ses_")
    assert response.turn_id.startswith("trn_")
    assert response.message_id.startswith("msg_")
    assert [notice.kind for notice in response.notices] == [
        turn_event_pb2.NOTICE_KIND_WITHOUT_CONTEXT,
        turn_event_pb2.NOTICE_KIND_LENGTH_LIMIT,
    ]


async def test_another_model_that_goes_on_is_told_with_its_place_and_is_the_answers_model(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half ")
    await reader.until("delta")
    call.use(10, 2)
    call.switch("scripted-2")
    call.say("and half.")
    call.use(30, 5)
    call.finish()
    await reader.to_end()
    kinds = reader.kinds()
    place = kinds.index("provider_switched")
    assert kinds[place - 1 : place + 2] == ["delta", "provider_switched", "delta"]
    switched = reader.events[place].provider_switched
    assert (switched.from_model, switched.to_model) == ("scripted-1", "scripted-2")
    assert switched.reason == "ERROR_REASON_PROVIDER_STALLED"
    assert switched.at_sequence == reader.events[place - 1].sequence
    assert switched.message == "The model scripted-1 has fallen silent; scripted-2 goes on."
    message = reader.events[-1].completed.message
    assert message.text == "Half and half."
    assert message.model == "scripted-2"
    assert (message.usage.input_tokens, message.usage.output_tokens, message.usage.estimated) == (30, 5, False)


async def test_expired_events_are_told_from_an_unknown_turn(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    (await inference.next_call()).finish()
    turn_id = (await reader.to_end())[0].turn_id
    await running.app.turns.forget([turn_id])
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await resume(running, alice, turn_id).to_end()
    assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(failure.value) == "ERROR_REASON_TURN_LOG_EXPIRED"
