"""What of a conversation the model reads, which model that is, and alternatives to a message."""

from __future__ import annotations

from dataclasses import replace

from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.domain.conversation import MessageState
from parley_chat.domain.turn import TurnState
from parley_testing.new_turns import new_turn
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream


async def test_inference_is_called_in_the_name_of_the_user_with_the_conversation_so_far(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    first = stream(running, alice, message="My name is Ada.")
    call = await inference.next_call()
    assert call.metadata["authorization"].startswith("Bearer ")
    assert call.metadata["authorization"] != dict(alice.metadata)["authorization"]
    call.say("Hello Ada.")
    call.finish()
    session_id = (await first.to_end())[0].started.session_id

    second = stream(running, alice, message="What is my name?", session_id=session_id)
    call = await inference.next_call()
    assert [message.text for message in call.request.messages[1:]] == [
        "My name is Ada.", "Hello Ada.", "What is my name?",
    ]  # fmt: skip
    call.finish()
    await second.to_end()


async def test_small_talk_is_routed_to_the_fast_model_and_says_why(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, message="Hello!")
    chosen = (await reader.until("route_chosen")).route_chosen
    assert chosen.route == message_pb2.ROUTE_STANDARD
    assert chosen.reason
    call = await inference.next_call()
    assert call.request.model == chosen.model == "fast"
    call.finish()
    await reader.to_end()


async def test_a_conversation_with_more_messages_than_are_read_says_that_older_ones_were_left_out(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    session = (await running.chat.CreateSession(pb.CreateSessionRequest(), metadata=alice.metadata)).session
    conversations = SqlConversations(running.app.database)

    async def notices_after(turns: int) -> list[int]:
        for _ in range(turns):
            turn = (await conversations.begin_turn(new_turn(alice.user_id, session.session_id))).turn
            stopped = replace(await conversations.get_message(turn.message_id), state=MessageState.STOPPED)
            await conversations.finish_turn(turn.turn_id, turn.fence, TurnState.STOPPED, stopped)
        reader = stream(running, alice, session_id=session.session_id, route=message_pb2.ROUTE_STANDARD)
        (await inference.next_call()).finish()
        return [event.notice.kind for event in await reader.to_end() if event.HasField("notice")]

    assert await notices_after(100) == []
    assert await notices_after(0) == [turn_event_pb2.NOTICE_KIND_HISTORY_TRIMMED]


async def test_an_alternative_answer_follows_the_same_message(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    first = stream(running, alice, message="First")
    (await inference.next_call()).finish()
    started = (await first.to_end())[0].started
    second = stream(running, alice, message="Second", session_id=started.session_id)
    (await inference.next_call()).finish()
    await second.to_end()
    edited = stream(
        running, alice, message="Second, edited", session_id=started.session_id, parent_message_id=started.message_id
    )
    call = await inference.next_call()
    assert "Second" not in [message.text for message in call.request.messages]
    call.finish()
    await edited.to_end()
    listed = await running.chat.ListMessages(
        pb.ListMessagesRequest(session_id=started.session_id), metadata=alice.metadata
    )
    alternatives = [message for message in listed.messages if message.parent_message_id == started.message_id]
    assert [message.text for message in alternatives] == ["Second, edited", "Second"]


async def test_the_first_message_of_a_session_gets_an_alternative_too(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    first = stream(running, alice, message="First")
    (await inference.next_call()).finish()
    session_id = (await first.to_end())[0].started.session_id
    edited = stream(running, alice, message="First, edited", session_id=session_id, parent_message_id="")
    call = await inference.next_call()
    assert [message.text for message in call.request.messages[1:]] == ["First, edited"]
    call.finish()
    await edited.to_end()
    listed = await running.chat.ListMessages(pb.ListMessagesRequest(session_id=session_id), metadata=alice.metadata)
    roots = [message.text for message in listed.messages if message.parent_message_id == ""]
    assert roots == ["First, edited", "First"]
