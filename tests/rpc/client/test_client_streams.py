"""What a reader of a turn sees when the way to Parley breaks: nothing. Against a real gRPC server that follows scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_client import (
    Backoff,
    CallCancelledError,
    ClientClosedError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NoticeGiven,
    Parley,
    ProviderSwitched,
    ResourceExhaustedError,
    RouteChosen,
    StreamGapError,
    TextDelta,
    Turn,
    TurnCompleted,
    TurnFailed,
    TurnFailedError,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
    UnavailableError,
)
from parley_testing.cuttable_proxy import cuttable_proxy
from parley_testing.scripted_chat import (
    SESSION_ID,
    TURN_ID,
    Abort,
    ScriptedChat,
    Silence,
    queued_events,
    serving,
    turn_events,
)
from parley_testing.status_details import trailers

QUICK = Backoff(attempts=4, first_seconds=0.001, most_seconds=0.01, most_asked_seconds=2.0)
PATIENT = Backoff(attempts=200, first_seconds=0.01, most_seconds=0.05)


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


@pytest.mark.parametrize(
    "cut",
    [
        Abort(grpc.StatusCode.UNAVAILABLE),
        Abort(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"),
        Abort(grpc.StatusCode.CANCELLED),
        Abort(grpc.StatusCode.DEADLINE_EXCEEDED, "downstream duration timeout"),
        Abort(grpc.StatusCode.UNKNOWN, "Stream removed"),
        None,
    ],
    ids=lambda cut: cut.code.name if cut else "end_without_a_last_event",
)
async def test_a_cut_stream_is_resumed_after_the_last_event(
    chat: ScriptedChat, client: Parley, cut: Abort | None
) -> None:
    events = turn_events("a", "b", "c")
    chat.script([*events[:3], *([cut] if cut else [])], events[3:])
    turn = client.stream_reply("Hi")
    assert [event.sequence async for event in turn] == [1, 2, 3, 4, 5, 6]
    assert turn.text == "abc"
    assert [each.rpc for each in chat.received] == ["StreamReply", "ResumeReply"]
    assert chat.requests("ResumeReply") == [pb.ResumeReplyRequest(turn_id=TURN_ID, after_sequence=3)]
    assert chat.received[1].metadata["authorization"] == "Bearer secret"


async def test_a_cut_before_the_first_event_sends_the_same_message_again(chat: ScriptedChat, client: Parley) -> None:
    chat.script([Abort(grpc.StatusCode.UNAVAILABLE)], [Abort(grpc.StatusCode.UNAVAILABLE)], turn_events("Hello"))
    assert (await client.stream_reply("Hi").message()).text == "Hello"
    requests = chat.requests("StreamReply")
    assert len(requests) == 3
    assert requests[0] == requests[1] == requests[2]


async def test_events_that_were_here_before_are_dropped(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b", "c")
    chat.script([*events[:4], Abort(grpc.StatusCode.UNAVAILABLE)], events[1:])
    turn = client.stream_reply("Hi")
    assert [event.sequence async for event in turn] == [1, 2, 3, 4, 5, 6]
    assert turn.text == "abc"


async def test_merged_deltas_are_one_event_without_a_gap(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b", "c")
    merged = turn_event_pb2.TurnEvent(turn_id=TURN_ID, first_sequence=3, sequence=5)
    merged.delta.text = "abc"
    chat.script([*events[:2], merged, events[5]])
    turn = client.stream_reply("Hi")
    assert [event.sequence async for event in turn] == [1, 2, 5, 6]
    assert turn.text == "abc"


async def test_a_missing_event_is_a_clear_error_and_the_turn_can_be_read_on(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b", "c")
    chat.script([*events[:3], events[4]], events[3:])
    turn = client.stream_reply("Hi")
    with pytest.raises(StreamGapError, match="after number 3 came 5 to 5") as caught:
        await turn.message()
    assert (caught.value.turn_id, caught.value.after_sequence) == (TURN_ID, 3)
    assert turn.text == "a"
    assert (await turn.message()).text == "abc"
    assert turn.text == "abc"


async def test_an_event_of_another_turn_is_a_clear_error(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b")
    stranger = turn_events("a", "b", turn_id="trn_" + "1" * 32)[3]
    chat.script([*events[:3], stranger])
    with pytest.raises(StreamGapError, match="an event of turn trn_1"):
        await client.stream_reply("Hi").message()


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


async def test_a_turn_that_waits_for_longer_than_a_stream_may_be_silent_is_not_given_up(
    chat: ScriptedChat, client: Parley
) -> None:
    details = trailers(grpc.StatusCode.DEADLINE_EXCEEDED, "Silent.", reason="ERROR_REASON_STREAM_IDLE")
    silent = Abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Silent.", details)
    events = queued_events("At last.", places=[1])
    chat.script([*events[:3], silent], *[[silent]] * (2 * QUICK.attempts), events[3:])
    assert (await client.stream_reply("Hi", queue_when_unavailable=True).message()).text == "At last."


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


async def test_a_refused_message_is_not_sent_again(chat: ScriptedChat, client: Parley) -> None:
    chat.script([Abort(grpc.StatusCode.INVALID_ARGUMENT, "No")])
    with pytest.raises(InvalidArgumentError, match="No"):
        await client.stream_reply("Hi").message()
    assert len(chat.received) == 1


async def test_an_internal_error_that_parley_reports_itself_is_no_cut(chat: ScriptedChat, client: Parley) -> None:
    details = trailers(grpc.StatusCode.INTERNAL, "Parley failed.", reason="ERROR_REASON_INTERNAL")
    chat.script([Abort(grpc.StatusCode.INTERNAL, "Parley failed.", details)])
    with pytest.raises(InternalError) as caught:
        await client.stream_reply("Hi").message()
    assert caught.value.reason == "ERROR_REASON_INTERNAL"
    assert len(chat.received) == 1


async def test_the_reader_gives_up_when_nothing_comes_any_more(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b")
    chat.script([*events[:2], Abort(grpc.StatusCode.UNAVAILABLE)], *([Abort(grpc.StatusCode.UNAVAILABLE, "gone")],) * 3)
    turn = client.stream_reply("Hi")
    with pytest.raises(UnavailableError, match="gone"):
        await turn.message()
    assert len(chat.received) == QUICK.attempts
    chat.script(events[2:])
    assert (await turn.message()).text == "ab", "iterating again goes on after the last event"
    assert chat.requests("ResumeReply")[-1].after_sequence == 2


async def test_each_event_gives_the_reader_new_patience(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b", "c", "d", "e", "f")
    cut = Abort(grpc.StatusCode.UNAVAILABLE)
    for event in events[:-1]:
        chat.script([event, cut])
    chat.script([events[-1]])
    assert (await client.stream_reply("Hi").message()).text == "abcdef"
    assert len(chat.received) > QUICK.attempts


async def test_a_stream_that_always_ends_empty_is_given_up(chat: ScriptedChat, client: Parley) -> None:
    chat.script(*([],) * QUICK.attempts)
    with pytest.raises(UnavailableError, match="ended before the turn began"):
        await client.stream_reply("Hi").message()


async def test_a_server_that_says_when_to_come_again_is_asked_again_then(chat: ScriptedChat, client: Parley) -> None:
    details = trailers(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "Busy.", reason="ERROR_REASON_TOO_MANY_TURNS", retry_after_seconds=0.05
    )
    chat.script([Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Busy.", details)], turn_events("Hello"))
    assert (await client.stream_reply("Hi").message()).text == "Hello"


async def test_a_server_that_asks_for_too_long_a_pause_is_an_error(chat: ScriptedChat, client: Parley) -> None:
    chat.script([Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "local_rate_limited", (("retry-after", "3600"),))])
    with pytest.raises(ResourceExhaustedError) as caught:
        await client.stream_reply("Hi").message()
    assert caught.value.retry_after == 3600.0


async def test_a_turn_that_exists_is_read_from_a_place_in_it(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b", "c")
    chat.script(events[3:])
    turn = client.resume_reply(TURN_ID, after_sequence=3)
    assert [event.sequence async for event in turn] == [4, 5, 6]
    assert chat.requests("ResumeReply") == [pb.ResumeReplyRequest(turn_id=TURN_ID, after_sequence=3)]


async def test_a_reader_that_comes_too_late_for_the_events_still_gets_the_answer(
    chat: ScriptedChat, client: Parley
) -> None:
    expired = trailers(grpc.StatusCode.FAILED_PRECONDITION, "Gone.", reason="ERROR_REASON_TURN_LOG_EXPIRED")
    gone = Abort(grpc.StatusCode.FAILED_PRECONDITION, "Gone.", expired)
    events = turn_events("a", "b")
    stored = [message_pb2.Message(message_id="msg_other"), events[-1].completed.message]
    chat.answer("ListMessages", *[pb.ListMessagesResponse(messages=stored)] * 2)
    chat.script([*events[:3], Abort(grpc.StatusCode.UNAVAILABLE)], [gone])
    assert (await client.stream_reply("Hi").message()).text == "ab"
    assert chat.requests("ListMessages")[0].session_id == SESSION_ID

    stored[1].state = message_pb2.MESSAGE_STATE_FAILED
    chat.answer("ListMessages", pb.ListMessagesResponse(messages=stored))
    chat.answers["ListMessages"].popleft()
    chat.script([*events[:3], Abort(grpc.StatusCode.UNAVAILABLE)], [gone])
    with pytest.raises(TurnFailedError):
        await client.stream_reply("Hi").message()

    chat.script([gone])
    with pytest.raises(FailedPreconditionError, match="Gone"):
        await client.resume_reply(TURN_ID, after_sequence=3).message()


async def read_until(turn: Turn, sequence: int) -> None:
    """Returns when another task has read that far."""
    async with asyncio.timeout(5):
        while turn.sequence < sequence:  # noqa: ASYNC110 - how far the turn is read is the condition
            await asyncio.sleep(0.001)


async def test_a_turn_is_stopped_while_another_task_waits_for_its_next_event(
    chat: ScriptedChat, client: Parley
) -> None:
    chat.script([*turn_events("a")[:3], Silence()])
    receipt = pb.StopReplyResponse(stopped=True, message=message_pb2.Message(text="a"))
    chat.answer("StopReply", receipt)
    turn = client.stream_reply("Hi")
    reading = asyncio.create_task(turn.message())
    await read_until(turn, 3)
    assert await asyncio.wait_for(turn.stop(), 5) == receipt
    assert chat.requests("StopReply") == [pb.StopReplyRequest(turn_id=TURN_ID)]
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_turn_is_stopped_as_soon_as_the_reading_task_knows_it(chat: ScriptedChat, client: Parley) -> None:
    chat.script([Abort(grpc.StatusCode.UNAVAILABLE)], turn_events("a", end="stopped"))
    chat.answer("StopReply", pb.StopReplyResponse(stopped=True))
    turn = client.stream_reply("Hi")
    reading = asyncio.create_task(turn.message())
    await asyncio.sleep(0)
    assert (await asyncio.wait_for(turn.stop(), 5)).stopped
    assert (await reading).text == "a"


async def test_stopping_before_reading_learns_the_turn_first_and_loses_no_event(
    chat: ScriptedChat, client: Parley
) -> None:
    chat.script(turn_events("a", end="stopped"))
    chat.answer("StopReply", pb.StopReplyResponse(stopped=True))
    turn = client.stream_reply("Hi")
    await turn.stop()
    assert [event.sequence async for event in turn] == [1, 2, 3, 4]


async def test_a_reader_whose_patience_ends_can_read_on(chat: ScriptedChat, client: Parley) -> None:
    events = turn_events("a", "b")
    chat.script([*events[:3], Silence()], events[3:])
    turn = client.stream_reply("Hi")
    for _ in range(3):
        await anext(turn)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(turn), 0.05)
    assert (await turn.message()).text == "ab"
    assert turn.text == "ab"


async def test_cancelling_the_reader_sends_nothing_again(chat: ScriptedChat, client: Parley) -> None:
    silence = Silence()
    chat.script([*turn_events("a")[:2], silence])
    reading = asyncio.create_task(client.stream_reply("Hi").message())
    await asyncio.wait_for(silence.reached.wait(), 5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert [each.rpc for each in chat.received] == ["StreamReply"]


async def test_leaving_the_block_early_closes_the_call(chat: ScriptedChat, client: Parley) -> None:
    chat.script([*turn_events("a")[:2], Silence()])
    async with client.stream_reply("Hi") as turn:
        assert turn.turn_id == TURN_ID
    with pytest.raises(ClientClosedError):
        await turn.message()
    assert len(chat.received) == 1


async def test_closing_the_client_ends_a_reading_in_words(chat: ScriptedChat) -> None:
    silence = Silence()
    chat.script([*turn_events("a")[:2], silence])
    async with serving(chat) as port:
        client = Parley.connect(f"127.0.0.1:{port}", stream_backoff=QUICK)
        reading = asyncio.create_task(client.stream_reply("Hi").message())
        await asyncio.wait_for(silence.reached.wait(), 5)
        await client.close()
        with pytest.raises(ClientClosedError):
            await asyncio.wait_for(reading, 5)
        with pytest.raises(ClientClosedError):
            await client.stream_reply("Hi").message()


async def test_a_network_that_is_cut_again_and_again_loses_and_repeats_nothing(chat: ScriptedChat) -> None:
    texts = [f"{number} " for number in range(20)]
    events = turn_events(*texts)
    async with serving(chat) as port, cuttable_proxy(port) as proxy:
        silences = [Silence() for _ in range(4)]
        bounds = [0, 3, 4, 11, 20, len(events)]
        for number, (begin, end) in enumerate(pairwise(bounds)):
            chat.script([*events[begin:end], *silences[number : number + 1]])
        async with Parley.connect(f"127.0.0.1:{proxy.port}", stream_backoff=PATIENT) as client:
            turn = client.stream_reply("Hi")
            sequences: list[int] = []

            async def read() -> None:
                async for event in turn:
                    sequences.append(event.sequence)  # noqa: PERF401 - the list is looked at while it grows

            reading = asyncio.create_task(read())
            for silence, end in zip(silences, bounds[1:], strict=False):
                await asyncio.wait_for(silence.reached.wait(), 10)
                await read_until(turn, end)
                proxy.cut()
            await asyncio.wait_for(reading, 10)
        assert sequences == list(range(1, len(events) + 1))
        assert turn.text == "".join(texts)
        assert proxy.connections > len(silences)


async def test_a_server_that_dies_and_comes_back_is_not_seen(chat: ScriptedChat) -> None:
    events = turn_events("a", "b", "c")
    silence = Silence()
    chat.script([*events[:4], silence], events[4:])
    async with serving(chat) as port:
        client = Parley.connect(f"127.0.0.1:{port}", stream_backoff=PATIENT)
        reading = asyncio.create_task(client.stream_reply("Hi").message())
        await asyncio.wait_for(silence.reached.wait(), 5)
    async with serving(chat, port=port):
        assert (await asyncio.wait_for(reading, 30)).text == "abc"
        await client.close()


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
