"""What a reader of a turn sees when the way to Parley breaks: nothing. Against a real gRPC server that follows scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2
from parley_client import (
    Backoff,
    ClientClosedError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    Parley,
    ResourceExhaustedError,
    StreamGapError,
    Turn,
    TurnFailedError,
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


async def test_a_turn_that_waits_for_longer_than_a_stream_may_be_silent_is_not_given_up(
    chat: ScriptedChat, client: Parley
) -> None:
    details = trailers(grpc.StatusCode.DEADLINE_EXCEEDED, "Silent.", reason="ERROR_REASON_STREAM_IDLE")
    silent = Abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Silent.", details)
    events = queued_events("At last.", places=[1])
    chat.script([*events[:3], silent], *[[silent]] * (2 * QUICK.attempts), events[3:])
    assert (await client.stream_reply("Hi", queue_when_unavailable=True).message()).text == "At last."


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
