"""What a client sends for a message, and what the events of its turn become. Against a real gRPC server that follows scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_client import (
    Backoff,
    CallCancelledError,
    NoticeGiven,
    Parley,
    ProviderSwitched,
    RouteChosen,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnFailedError,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
    UnavailableError,
)
from parley_testing.scripted_chat import (
    SESSION_ID,
    TURN_ID,
    Abort,
    ScriptedChat,
    queued_events,
    serving,
    turn_events,
)
from parley_testing.status_details import trailers

QUICK = Backoff(attempts=4, first_seconds=0.001, most_seconds=0.01, most_asked_seconds=2.0)


@pytest.fixture
async def chat() -> ScriptedChat:
    return ScriptedChat()


@pytest.fixture
async def client(chat: ScriptedChat) -> AsyncIterator[Parley]:
    async with (
        serving(chat) as port,
        Parley.connect(f"127.0.0.1:{port}", token="secret", backoff=QUICK, stream_backoff=QUICK) as client,
    ):
        yield client


async def test_a_turn_is_read_to_its_end(chat: ScriptedChat, client: Parley) -> None:
    chat.script(turn_events("Hello ", "there"))
    turn = client.stream_reply("Hi", route="enhanced", model="strong")
    events = [event async for event in turn]

    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert isinstance(events[0], TurnStarted)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hello ", "there"]
    assert isinstance(events[-1], TurnCompleted)
    assert (turn.turn_id, turn.session_id, turn.text) == (TURN_ID, SESSION_ID, "Hello there")
    assert turn.trace_id == "ab" * 16
    assert (await turn.message()).text == "Hello there"
    (request,) = chat.requests("StreamReply")
    assert (request.message, request.route, request.model) == ("Hi", message_pb2.ROUTE_ENHANCED, "strong")
    assert not request.HasField("detach")


async def test_the_token_and_the_name_of_the_client_are_sent(chat: ScriptedChat, client: Parley) -> None:
    chat.script(turn_events("Hello"))
    await client.stream_reply("Hi").message()
    metadata = chat.received[0].metadata
    assert metadata["authorization"] == "Bearer secret"
    assert metadata["user-agent"].startswith("parley-client/")


async def test_every_message_gets_a_name_of_its_own(chat: ScriptedChat, client: Parley) -> None:
    chat.script(turn_events("one"), turn_events("two"))
    await client.stream_reply("Hi").message()
    await client.stream_reply("Hi").message()
    first, second = chat.requests("StreamReply")
    assert first.client_message_id
    assert first.client_message_id != second.client_message_id


async def test_merged_deltas_are_one_event_without_a_gap(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b", "c")
    merged = turn_event_pb2.TurnEvent(turn_id=TURN_ID, first_sequence=3, sequence=5)
    merged.delta.text = "abc"
    chat.script([*events[:2], merged, events[5]])
    turn = client.stream_reply("Hi")
    assert [event.sequence async for event in turn] == [1, 2, 5, 6]
    assert turn.text == "abc"


async def test_a_kind_of_event_that_is_not_known_is_passed_over(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a")
    # What a later release sends is an event in which this release finds nothing set.
    later = turn_event_pb2.TurnEvent(turn_id=TURN_ID, sequence=3, first_sequence=3)
    for event in events[2:]:
        event.sequence += 1
        event.first_sequence += 1
    chat.script([*events[:2], later, *events[2:]])
    assert [event.sequence async for event in client.stream_reply("Hi")] == [1, 2, 4, 5]


async def test_a_kind_of_notice_that_is_not_known_keeps_its_words(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a")
    events[1].notice.CopyFrom(turn_event_pb2.Notice(kind=99, message="Mind the step."))  # type: ignore[arg-type] # of a later release
    chat.script(events)
    notices = [event async for event in client.stream_reply("Hi") if isinstance(event, NoticeGiven)]
    assert [(notice.kind, notice.message) for notice in notices] == [("99", "Mind the step.")]


async def test_an_answer_that_begins_anew_drops_the_text_until_then(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("wrong", "", "right")
    events[3].restarted.SetInParent()
    chat.script(events)
    turn = client.stream_reply("Hi", on_failure="restart")
    kinds = [type(event) async for event in turn]
    assert kinds[2:5] == [TextDelta, TurnRestarted, TextDelta]
    assert turn.text == "right"
    assert chat.requests("StreamReply")[0].on_failure == message_pb2.ON_FAILURE_RESTART


async def test_another_model_that_goes_on_is_an_event_and_keeps_the_text(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("Half ", "", "and half.")
    events[3].provider_switched.from_model = "a"
    events[3].provider_switched.to_model = "b"
    events[3].provider_switched.at_sequence = 3
    events[3].provider_switched.message = "a is unavailable; b goes on."
    chat.script(events)
    turn = client.stream_reply("Hi")
    (switched,) = [event async for event in turn if isinstance(event, ProviderSwitched)]
    assert (switched.from_model, switched.to_model, switched.at_sequence) == ("a", "b", 3)
    assert switched.message == "a is unavailable; b goes on."
    assert turn.text == "Half and half."


async def test_a_failed_turn_gives_its_event_and_then_raises(chat: ScriptedChat, client: Parley) -> None:
    chat.script([*turn_events("Half an ans", end="failed"), Abort(grpc.StatusCode.UNAVAILABLE)])
    turn = client.stream_reply("Hi")
    events = [await anext(turn) for _ in range(4)]
    assert isinstance(events[-1], TurnFailed)
    with pytest.raises(TurnFailedError) as caught:
        await anext(turn)
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_UNAVAILABLE")
    assert (error.message, error.retryable, error.partial.text) == ("The provider broke off.", True, "Half an ans")
    assert error.trace_id == "ab" * 16
    with pytest.raises(TurnFailedError):
        await turn.message()
    assert len(chat.received) == 1


async def test_a_stopped_turn_ends_and_its_message_is_what_was_written(chat: ScriptedChat, client: Parley) -> None:
    chat.script(turn_events("Half", end="stopped"))
    turn = client.stream_reply("Hi")
    assert (await turn.message()).text == "Half"
    assert isinstance(turn.last, TurnStopped)
    assert turn.last.text_length == 4


async def test_a_turn_that_waits_for_a_model_tells_its_place_until_the_answer_begins(
    chat: ScriptedChat, client: Parley
) -> None:
    chat.script(queued_events("At last.", places=[3, 1]))
    turn = client.stream_reply("Hi", queue_when_unavailable=True)
    seen = [(type(event), turn.queue_place) async for event in turn]
    assert seen == [
        (TurnStarted, None), (RouteChosen, None), (TurnQueued, 3), (TurnQueued, 1), (TextDelta, None), (TurnCompleted, None),
    ]  # fmt: skip
    assert chat.requests("StreamReply")[0].queue_when_unavailable


async def test_a_message_fails_rather_than_waits_when_nothing_else_is_asked_for(
    chat: ScriptedChat, client: Parley
) -> None:
    chat.script(turn_events("Hello"))
    await client.stream_reply("Hi").message()
    chat.answer("SendMessage", *[pb.SendMessageResponse(text="Hello")] * 2)
    await client.send_message("Hi")
    await client.send_message("Hi", queue_when_unavailable=True)
    asked = [*chat.requests("StreamReply"), *chat.requests("SendMessage")]
    assert [request.queue_when_unavailable for request in asked] == [False, False, True]


async def test_a_whole_answer_is_asked_for_again_under_the_same_name_after_a_cut(
    chat: ScriptedChat, client: Parley
) -> None:
    chat.answer("SendMessage", Abort(grpc.StatusCode.UNAVAILABLE), pb.SendMessageResponse(text="Hello"))
    assert (await client.send_message("Hi")).text == "Hello"
    first, second = chat.requests("SendMessage")
    assert first == second
    assert first.client_message_id


async def test_a_whole_answer_that_failed_is_not_asked_for_again(chat: ScriptedChat, client: Parley) -> None:
    details = trailers(grpc.StatusCode.UNAVAILABLE, "Broke off.", reason="ERROR_REASON_PROVIDER_UNAVAILABLE")
    chat.answer("SendMessage", Abort(grpc.StatusCode.UNAVAILABLE, "Broke off.", details))
    with pytest.raises(UnavailableError, match="Broke off"):
        await client.send_message("Hi")
    assert len(chat.received) == 1


async def test_a_whole_answer_that_was_stopped_raises_and_does_not_cancel_the_caller(
    chat: ScriptedChat, client: Parley
) -> None:
    details = trailers(grpc.StatusCode.CANCELLED, "Stopped.", reason="ERROR_REASON_TURN_STOPPED")
    chat.answer("SendMessage", Abort(grpc.StatusCode.CANCELLED, "Stopped.", details))
    with pytest.raises(CallCancelledError) as caught:
        await client.send_message("Hi")
    assert caught.value.reason == "ERROR_REASON_TURN_STOPPED"
