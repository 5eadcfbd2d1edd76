"""Turns through ChatService: real gRPC, real SQLite, a real turn log; inference says what the test scripts."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley.inference.v1 import generation_pb2
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.domain.conversation import OnFailure, Route
from parley_chat.domain.errors import TurnStoppedError
from parley_chat.operations import turns as turns_module
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.turns import ReplyRequest
from parley_shared.status import status_error_from
from parley_testing.new_turns import new_turn
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference

NO_TURN = "trn_" + "0" * 32
NO_SESSION = "ses_" + "0" * 32
NO_MESSAGE = "msg_" + "0" * 32


@pytest.fixture
async def inference() -> AsyncIterator[ScriptedInference]:
    async with ScriptedInference() as scripted:
        yield scripted


@pytest.fixture
async def running(tmp_path: Path, inference: ScriptedInference) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path, inference=inference.address) as chat:
        yield chat


@pytest.fixture
async def alice(running: RunningChat) -> Person:
    return await running.sign_up()


@pytest.fixture
async def bob(running: RunningChat) -> Person:
    return await running.sign_up()


class Reader:
    """Reads the events of one stream."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.events: list[turn_event_pb2.TurnEvent] = []

    async def next(self) -> turn_event_pb2.TurnEvent:
        async with asyncio.timeout(10):
            response = await self.call.read()
        assert response is not grpc.aio.EOF, "the stream ended"
        assert isinstance(response, pb.StreamReplyResponse | pb.ResumeReplyResponse)
        self.events.append(response.event)
        return response.event

    async def until(self, kind: str) -> turn_event_pb2.TurnEvent:
        while True:
            event = await self.next()
            if event.WhichOneof("event") == kind:
                return event

    async def to_end(self) -> list[turn_event_pb2.TurnEvent]:
        async with asyncio.timeout(10):
            while (response := await self.call.read()) is not grpc.aio.EOF:
                self.events.append(response.event)
        return self.events

    def kinds(self) -> list[str]:
        return [str(event.WhichOneof("event")) for event in self.events]

    def text(self) -> str:
        return "".join(event.delta.text for event in self.events)

    def assert_whole_from(self, after: int) -> None:
        """No gap and no repeat since the place `after`."""
        last = after
        for event in self.events:
            assert event.first_sequence == last + 1
            assert event.sequence >= event.first_sequence
            last = event.sequence


def stream(running: RunningChat, person: Person, **fields: Any) -> Reader:
    request = pb.StreamReplyRequest(**{"message": "How do I add a provider?", **fields})
    return Reader(running.chat.StreamReply(request, metadata=person.metadata))


def resume(running: RunningChat, person: Person, turn_id: str, after: int = 0) -> Reader:
    request = pb.ResumeReplyRequest(turn_id=turn_id, after_sequence=after)
    return Reader(running.chat.ResumeReply(request, metadata=person.metadata))


def reason_of(error: grpc.aio.AioRpcError) -> str:
    return status_error_from(error).reason


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
    running: RunningChat, inference: ScriptedInference, alice: Person, bob: Person
) -> None:
    reader = stream(running, alice, client_message_id="mine")
    (await inference.next_call()).finish()
    await reader.to_end()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stream(running, alice, client_message_id="mine", message="Something else").to_end()
    assert refusal.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(refusal.value) == "ERROR_REASON_CLIENT_MESSAGE_ID_REUSED"
    # Names are each user's own.
    other = stream(running, bob, client_message_id="mine", message="Something else")
    (await inference.next_call()).finish()
    await other.to_end()
    assert other.kinds()[-1] == "completed"


async def test_stop_reaches_inference_and_keeps_what_was_written(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half an ")
    turn_id = (await reader.until("delta")).turn_id
    receipt = await running.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    async with asyncio.timeout(5):
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
    async with asyncio.timeout(5):
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
        async with asyncio.timeout(5):
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


async def test_a_conversation_with_more_messages_than_are_read_says_that_older_ones_were_left_out(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    session = (await running.chat.CreateSession(pb.CreateSessionRequest(), metadata=alice.metadata)).session
    conversations = SqlConversations(running.app.database)

    async def notices_after(turns: int) -> list[int]:
        for _ in range(turns):
            await conversations.begin_turn(new_turn(alice.user_id, session.session_id))
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


async def test_a_user_has_a_bounded_number_of_running_turns_and_repeats_are_not_counted(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(
        tmp_path, inference=inference.address, PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER="2"
    ) as running:
        alice, bob = await running.sign_up(), await running.sign_up()
        readers = [stream(running, alice, client_message_id=f"turn-{number}") for number in range(2)]
        calls = [await inference.next_call() for _ in readers]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stream(running, alice).to_end()
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason_of(refusal.value) == "ERROR_REASON_TOO_MANY_TURNS"
        readers.append(stream(running, alice, client_message_id="turn-0"))
        await readers[-1].until("route_chosen")
        readers.append(stream(running, bob))
        calls.append(await inference.next_call())
        for call in calls:
            call.finish()
        for reader in readers:
            await reader.to_end()
        after = stream(running, alice)
        (await inference.next_call()).finish()
        await after.to_end()
        assert after.kinds()[-1] == "completed"


async def test_a_turn_that_takes_too_long_fails_and_keeps_its_text(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_MAX_TURN_SECONDS="1") as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        call = await inference.next_call()
        call.say("Half")
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await reader.to_end()
        assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reader.events[-1].failed.message.text == "Half"
        async with asyncio.timeout(5):
            await call.cancelled.wait()


async def test_the_deadline_of_a_call_does_not_end_its_turn(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamReplyRequest(message="How do I add a provider?", client_message_id="mine")
    reader = Reader(running.chat.StreamReply(request, metadata=alice.metadata, timeout=0.5))
    call = await inference.next_call()
    call.say("Half")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader.to_end()
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    call.say(" and half")
    call.finish()
    again = stream(running, alice, client_message_id="mine")
    await again.to_end()
    assert again.text() == "Half and half"
    assert again.kinds()[-1] == "completed"


async def copy_of_a_home_in_mid_stream(
    tmp_path: Path, inference: ScriptedInference, **fields: Any
) -> tuple[Path, Person, Reader]:
    """What a process leaves behind when it dies in the middle of an answer: its home is copied while it runs."""
    async with running_chat(tmp_path / "before", inference=inference.address) as running:
        alice = await running.sign_up()
        reader = stream(running, alice, **fields)
        call = await inference.next_call()
        call.say("Every delivered ")
        call.say("word.")
        while reader.text() != "Every delivered word.":
            await reader.next()
        await asyncio.to_thread(shutil.copytree, tmp_path / "before", tmp_path / "after")
        call.finish()
        await reader.to_end()
    del reader.events[-1]
    return tmp_path / "after", alice, reader


async def test_what_a_process_left_running_goes_on_in_the_next_from_what_was_delivered(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(tmp_path, inference)
    async with running_chat(home, inference=inference.address) as running:
        call = await inference.next_call()
        assert call.request.answer_so_far == "Every delivered word."
        assert call.request.messages[-1].text == "How do I add a provider?"
        resumed = resume(running, alice, before.events[0].turn_id, before.events[-1].sequence)
        call.say(" And more.")
        call.finish()
        await resumed.to_end()
        resumed.assert_whole_from(before.events[-1].sequence)
        assert [event.notice.kind for event in resumed.events if event.HasField("notice")] == [
            turn_event_pb2.NOTICE_KIND_CONTINUED
        ]
        assert before.text() + resumed.text() == "Every delivered word. And more."
        assert resumed.events[-1].completed.message.text == "Every delivered word. And more."
        replayed = resume(running, alice, before.events[0].turn_id)
        await replayed.to_end()
        replayed.assert_whole_from(0)
        assert replayed.text() == "Every delivered word. And more."
        assert replayed.kinds().count("started") == 1
        assert replayed.kinds().count("route_chosen") == 1


@pytest.mark.parametrize(("on_failure", "kinds"), [("CONTINUE", ["notice", "route_chosen"]), ("FAIL", ["failed"])])
async def test_a_turn_whose_process_died_before_its_first_event_begins_with_started_all_the_same(
    tmp_path: Path, inference: ScriptedInference, on_failure: str, kinds: list[str]
) -> None:
    policy = message_pb2.OnFailure.Value(f"ON_FAILURE_{on_failure}")
    home, alice, before = await copy_of_a_home_in_mid_stream(tmp_path, inference, on_failure=policy)
    for path in home.rglob("trn_*.jsonl"):
        path.write_bytes(b"")
    async with running_chat(home, inference=inference.address) as running:
        resumed = resume(running, alice, before.events[0].turn_id)
        while len(resumed.events) < 1 + len(kinds):
            await resumed.next()
        assert resumed.kinds() == ["started", *kinds]
        assert resumed.events[0].started == before.events[0].started
        resumed.assert_whole_from(0)
        resumed.call.cancel()


async def test_what_a_process_left_running_fails_when_that_is_asked_for(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(
        tmp_path, inference, on_failure=message_pb2.ON_FAILURE_FAIL
    )
    async with running_chat(home, inference=inference.address) as running:
        resumed = resume(running, alice, before.events[0].turn_id)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await resumed.to_end()
        assert failure.value.code() is grpc.StatusCode.ABORTED
        resumed.assert_whole_from(0)
        assert resumed.text() == "Every delivered word."
        assert resumed.events[-1].failed.failure.reason == "ERROR_REASON_TURN_INTERRUPTED"
        assert resumed.events[-1].failed.message.text == "Every delivered word."
    assert inference.calls == 1


async def test_what_a_process_left_running_begins_anew_when_that_is_asked_for(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(
        tmp_path, inference, on_failure=message_pb2.ON_FAILURE_RESTART
    )
    async with running_chat(home, inference=inference.address) as running:
        call = await inference.next_call()
        assert call.request.answer_so_far == ""
        call.say("Anew.")
        call.finish()
        resumed = resume(running, alice, before.events[0].turn_id, before.events[-1].sequence)
        await resumed.to_end()
        resumed.assert_whole_from(before.events[-1].sequence)
        assert [kind for kind in resumed.kinds() if kind != "notice"] == ["restarted", "delta", "completed"]
        assert resumed.events[-1].completed.message.text == "Anew."


async def test_an_answer_that_keeps_killing_its_process_is_given_up(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(tmp_path, inference)
    for number in range(5):
        following = tmp_path / f"life {number}"
        async with running_chat(home, inference=inference.address):
            call = await inference.next_call()
            await asyncio.to_thread(shutil.copytree, home, following)
            call.finish()
        home = following
    async with running_chat(home, inference=inference.address) as running:
        resumed = resume(running, alice, before.events[0].turn_id)
        with pytest.raises(grpc.aio.AioRpcError):
            await resumed.to_end()
        assert resumed.events[-1].failed.failure.reason == "ERROR_REASON_TURN_INTERRUPTED"
        assert resumed.events[-1].failed.message.text == "Every delivered word."


async def test_a_process_that_is_told_to_end_leaves_its_answers_to_the_next(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address) as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        call = await inference.next_call()
        call.say("Half ")
        await reader.until("delta")
        await running.app.drain()
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await reader.to_end()
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reader.kinds()[-1] == "delta"
    async with running_chat(tmp_path, inference=inference.address) as running:
        call = await inference.next_call()
        call.say("and half.")
        call.finish()
        resumed = resume(running, alice, reader.events[0].turn_id, reader.events[-1].sequence)
        await resumed.to_end()
        resumed.assert_whole_from(reader.events[-1].sequence)
        assert resumed.events[-1].completed.message.text == "Half and half."


async def test_a_process_that_is_told_to_end_fails_the_answers_that_may_not_go_on(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, on_failure=message_pb2.ON_FAILURE_FAIL)
    call = await inference.next_call()
    call.say("Half")
    await reader.until("delta")
    await running.app.drain()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader.to_end()
    assert failure.value.code() is grpc.StatusCode.ABORTED
    assert reader.events[-1].failed.failure.reason == "ERROR_REASON_TURN_INTERRUPTED"


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
    async with asyncio.timeout(5):
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
    monkeypatch.setattr(turns_module, "FINISH_PAUSES_SECONDS", (0.01,))
    monkeypatch.setattr(turns_module, "STORE_LATER_SECONDS", 0.05)
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
    async with asyncio.timeout(10):
        while listed.messages[0].state != message_pb2.MESSAGE_STATE_FAILED:
            listed = await running.chat.ListMessages(request, metadata=alice.metadata)
    assert listed.messages[0].text == "Half"


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


async def test_another_users_session_turn_and_messages_do_not_exist(
    running: RunningChat, inference: ScriptedInference, alice: Person, bob: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("private")
    started = (await reader.until("started")).started
    turn_id = reader.events[0].turn_id
    chat, metadata = running.chat, bob.metadata
    attempts: list[tuple[Callable[[str, str, str], Awaitable[Any]], str]] = [
        (lambda s, _t, _m: chat.GetSession(pb.GetSessionRequest(session_id=s), metadata=metadata), "session"),
        (lambda s, _t, _m: chat.UpdateSession(pb.UpdateSessionRequest(session_id=s), metadata=metadata), "session"),
        (lambda s, _t, _m: chat.DeleteSession(pb.DeleteSessionRequest(session_id=s), metadata=metadata), "session"),
        (lambda s, _t, _m: chat.ListMessages(pb.ListMessagesRequest(session_id=s), metadata=metadata), "session"),
        (
            lambda s, _t, _m: chat.SendMessage(pb.SendMessageRequest(message="x", session_id=s), metadata=metadata),
            "session",
        ),
        (lambda s, _t, _m: stream(running, bob, session_id=s).to_end(), "session"),
        (lambda _s, t, _m: resume(running, bob, t).to_end(), "turn"),
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
        await stream(running, bob, session_id=mine.session.session_id, parent_message_id=started.message_id).to_end()
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    call.finish()
    await reader.to_end()
    assert reader.kinds()[-1] == "completed"


async def test_deleting_a_session_stops_what_runs_in_it_and_leaves_nothing(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("gone")
    await reader.until("delta")
    session_id, turn_id = reader.events[0].started.session_id, reader.events[0].turn_id
    await running.chat.DeleteSession(pb.DeleteSessionRequest(session_id=session_id), metadata=alice.metadata)
    async with asyncio.timeout(5):
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
