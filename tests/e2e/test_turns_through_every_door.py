"""One turn, whichever door it is asked, watched or stopped through: real Envoy, real services, an upstream that is slow on purpose."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any
from uuid import uuid4

import openai
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_testing.doors import DOORS, Door, RefusedError
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words
from parley_testing.mesh import Mesh

WORDS = 120
TEXT = "".join(numbered_words(WORDS))


@pytest.fixture(scope="session")
async def upstream() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(Reply(pieces=numbered_words(WORDS), tokens_per_second=60)) as fake:
        yield fake


@pytest.fixture(scope="session")
async def paced(upstream: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A Parley whose model writes 60 words a second for two seconds."""
    home = tmp_path_factory.mktemp("paced") / "home"
    mesh = await asyncio.to_thread(
        Mesh.start,
        home,
        {
            "OPENAI_BASE_URL": upstream.base_url,
            "OPENAI_API_KEY": "sk-test",
            "PARLEY_INFERENCE_MODEL": "fake-model",
            "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER": "100",
        },
    )
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, paced: Mesh) -> Door:
    """Each way in, for a new user."""
    return DOORS[request.param](paced.grpc_address, paced.sign_up().token)


def asking(**fields: Any) -> pb.StreamReplyRequest:
    return pb.StreamReplyRequest(message="Count for me, please.", route=message_pb2.ROUTE_STANDARD, **fields)


def text_of(events: list[turn_event_pb2.TurnEvent]) -> str:
    return "".join(event.delta.text for event in events)


def assert_whole(events: list[turn_event_pb2.TurnEvent], after: int = 0) -> None:
    """No gap and no repeat, from after a place to the end of the turn."""
    last = after
    for event in events:
        assert event.first_sequence == last + 1, (last, event)
        last = event.sequence
    assert events[-1].WhichOneof("event") in {"completed", "failed", "stopped"}


async def read(
    stream: AsyncIterator[turn_event_pb2.TurnEvent],
    into: list[turn_event_pb2.TurnEvent],
    until: Callable[[turn_event_pb2.TurnEvent], bool] = lambda _: False,
) -> None:
    """Reads until an event, or the end, and then cuts the stream."""
    async with aclosing(stream) as events:  # type: ignore[type-var] # every door's streams are async generators
        async for event in events:
            into.append(event)
            if until(event):
                return


async def test_a_turn_streams_word_by_word_and_ends_with_the_stored_answer(door: Door) -> None:
    events: list[turn_event_pb2.TurnEvent] = []
    await read(door.stream(asking()), events)
    assert_whole(events)
    assert text_of(events) == TEXT
    assert len([event for event in events if event.HasField("delta")]) > WORDS / 4, "it came in pieces"
    message = events[-1].completed.message
    assert message.text == TEXT
    assert message.model == "fake-model"
    assert len(message.trace_id) == 32
    listed = await door.messages(message.session_id)
    assert listed.messages[0] == message


async def test_a_whole_answer_and_the_stream_of_the_same_send_are_one_turn(door: Door, upstream: FakeOpenAI) -> None:
    before = len(upstream.requests)
    name = uuid4().hex
    events: list[turn_event_pb2.TurnEvent] = []
    whole = asyncio.ensure_future(
        door.send(
            pb.SendMessageRequest(
                message="Count for me, please.", route=message_pb2.ROUTE_STANDARD, client_message_id=name
            )
        )
    )
    await read(door.stream(asking(client_message_id=name)), events)
    response = await whole
    assert response.turn_id == events[0].turn_id
    assert response.text == text_of(events) == TEXT
    assert response.usage == events[-1].completed.message.usage
    assert len(upstream.requests) == before + 1


@pytest.mark.parametrize("other", DOORS)
async def test_a_stream_that_is_cut_goes_on_through_any_door_without_gap_or_repeat(
    door: Door, other: str, paced: Mesh
) -> None:
    events: list[turn_event_pb2.TurnEvent] = []
    await read(door.stream(asking()), events, lambda event: "word9 " in event.delta.text)
    last = events[-1]
    assert text_of(events) != TEXT
    through = DOORS[other](paced.grpc_address, door.token)
    rest: list[turn_event_pb2.TurnEvent] = []
    await read(through.resume(last.turn_id, last.sequence), rest)
    assert_whole(rest, last.sequence)
    assert text_of(events) + text_of(rest) == TEXT


async def test_stop_closes_the_connection_to_the_provider_and_keeps_what_was_written(
    door: Door, upstream: FakeOpenAI
) -> None:
    cut_before = upstream.streams_cut
    events: list[turn_event_pb2.TurnEvent] = []
    reading = asyncio.create_task(read(door.stream(asking()), events))
    async with asyncio.timeout(20):
        while "word9 " not in text_of(events):  # noqa: ASYNC110 - what another task reads
            await asyncio.sleep(0.01)
    receipt = await door.stop(events[0].turn_id)
    await upstream.wait_for(lambda: upstream.streams_cut == cut_before + 1, "the upstream's connection to be closed")
    await reading
    assert receipt.stopped
    assert_whole(events)
    stopped = events[-1].stopped.message
    assert stopped.text == text_of(events) == receipt.message.text
    assert TEXT.startswith(stopped.text)
    assert stopped.text != TEXT
    assert stopped.usage.output_tokens > 0
    again = await door.stop(events[0].turn_id)
    assert not again.stopped


async def test_cutting_a_stream_does_not_stop_its_turn(door: Door, upstream: FakeOpenAI) -> None:
    cut_before = upstream.streams_cut
    events: list[turn_event_pb2.TurnEvent] = []
    await read(door.stream(asking()), events, lambda event: event.HasField("delta"))
    rest: list[turn_event_pb2.TurnEvent] = []
    await read(door.resume(events[0].turn_id), rest)
    assert rest[-1].completed.message.text == TEXT
    assert upstream.streams_cut == cut_before


async def test_a_failing_provider_is_a_typed_failure_and_its_status(door: Door, upstream: FakeOpenAI) -> None:
    upstream.enqueue(Reply(pieces=numbered_words(10), break_off_after=5, tokens_per_second=20))
    events: list[turn_event_pb2.TurnEvent] = []
    try:
        await read(door.stream(asking()), events)
        code = 0
    except RefusedError as refused:
        code = refused.code
    assert_whole(events)
    failed = events[-1].failed
    assert failed.failure.code == 14
    assert failed.failure.reason == "ERROR_REASON_PROVIDER_UNAVAILABLE"
    assert failed.message.text == text_of(events)
    # What came in the same instant as the break may be gone with the connection; what came before is kept.
    assert "".join(numbered_words(5)).startswith(failed.message.text)
    assert "word3 " in failed.message.text
    # Server-sent events have no status behind the body: there the event is what tells.
    assert code == (0 if type(door) is DOORS["REST"] else 14)


async def test_a_refused_send_says_which_field_and_leaves_nothing(door: Door) -> None:
    with pytest.raises(RefusedError) as refused:
        await read(door.stream(pb.StreamReplyRequest(message=" ")), [])
    assert refused.value.code == 3
    assert "message" in refused.value.words
    with pytest.raises(RefusedError) as refused:
        await door.send(pb.SendMessageRequest(message="x", client_message_id="no spaces"))
    assert refused.value.code == 3
    assert "client_message_id" in refused.value.words


async def test_another_users_turn_is_not_there(door: Door, paced: Mesh) -> None:
    events: list[turn_event_pb2.TurnEvent] = []
    await read(door.stream(asking()), events, lambda event: event.HasField("delta"))
    stranger = type(door)(paced.grpc_address, paced.sign_up().token)
    attempts = (
        lambda: read(stranger.resume(events[0].turn_id), []),
        lambda: stranger.stop(events[0].turn_id),
        lambda: stranger.messages(events[0].started.session_id),
        lambda: read(stranger.stream(asking(session_id=events[0].started.session_id)), []),
    )
    for attempt in attempts:
        with pytest.raises(RefusedError) as refused:
            await attempt()
        assert refused.value.code == 5
    await door.stop(events[0].turn_id)


@pytest.mark.parametrize("token", ["", "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3JfMSJ9."])
async def test_without_a_good_token_there_is_no_turn(door: Door, token: str) -> None:
    stranger = type(door)(door.address, token)
    with pytest.raises(RefusedError) as refused:
        await read(stranger.stream(asking()), [])
    assert refused.value.code == 16


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("service", ["chat", "inference", "edge"])
async def test_a_process_that_ends_in_mid_stream_loses_nothing_and_the_answer_is_written_to_its_end(
    door: Door, paced: Mesh, upstream: FakeOpenAI, service: str, number: signal.Signals
) -> None:
    """The reader does what every client of Parley does: when the stream is cut, it resumes after the last event it has."""
    events: list[turn_event_pb2.TurnEvent] = []
    pid = paced.pids[service]
    killed = False

    def kill_at_ninth(event: turn_event_pb2.TurnEvent) -> bool:
        nonlocal killed
        if not killed and "word9 " in event.delta.text:
            killed = True
            paced.kill(service, number)
        return False

    stream = door.stream(asking())
    async with asyncio.timeout(60):
        while not events or events[-1].WhichOneof("event") not in {"completed", "failed", "stopped"}:
            try:
                await read(stream, events, kill_at_ninth)
            except RefusedError:
                # Cut, or not there yet: again.
                await asyncio.sleep(0.05)
            stream = door.resume(events[0].turn_id, events[-1].sequence)
    assert_whole(events)
    assert text_of(events) == TEXT
    assert events[-1].completed.message.text == TEXT
    await asyncio.to_thread(paced.wait_until_back, service, pid)

    replay: list[turn_event_pb2.TurnEvent] = []
    await read(door.resume(events[0].turn_id), replay)
    assert_whole(replay)
    assert text_of(replay) == TEXT


def openai_client(paced: Mesh, token: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{paced.base_url}/openai/v1", api_key=token, max_retries=0, timeout=60)


async def test_a_response_of_openais_client_is_the_same_turn_through_every_door(paced: Mesh) -> None:
    token = (await asyncio.to_thread(paced.sign_up)).token
    async with openai_client(paced, token) as client:
        response = await client.responses.create(input="Count for me, please.")
    told: Any = response.model_extra
    assert response.output_text == TEXT
    assert response.usage is not None
    for name, kind in DOORS.items():
        events: list[turn_event_pb2.TurnEvent] = []
        await read(kind(paced.grpc_address, token).resume(told["parley"]["turn_id"]), events)
        assert_whole(events)
        message = events[-1].completed.message
        assert text_of(events) == message.text == TEXT, name
        assert (message.usage.input_tokens, message.usage.output_tokens) == (
            response.usage.input_tokens,
            response.usage.output_tokens,
        ), name
        assert message_pb2.Route.Name(message.route) == f"ROUTE_{told['parley']['route'].upper()}", name
        assert (message.model, message.trace_id) == (response.model, told["parley"]["trace_id"]), name


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_openais_client_loses_nothing_when_chat_ends_in_mid_stream(paced: Mesh, number: signal.Signals) -> None:
    """It does what OpenAI says of responses in the background: it goes on behind the last `sequence_number` that came."""
    token = (await asyncio.to_thread(paced.sign_up)).token
    events: list[Any] = []
    pid, killed = paced.pids["chat"], False

    async def follow(stream: openai.AsyncStream[Any]) -> None:
        nonlocal killed
        async for event in stream:
            events.append(event)
            if not killed and "word9 " in getattr(event, "delta", ""):
                killed = True
                paced.kill("chat", number)

    async with openai_client(paced, token) as client, asyncio.timeout(120):
        # Cut, or told that it cannot go on here.
        with suppress(openai.APIError):
            await follow(await client.responses.create(input="Count for me, please.", background=True, stream=True))
        while events[-1].type != "response.completed":
            try:
                after = events[-1].sequence_number
                await follow(await client.responses.retrieve(events[0].response.id, stream=True, starting_after=after))
            except openai.APIError:
                # Not there yet: again.
                await asyncio.sleep(0.05)
    assert killed
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(getattr(event, "delta", "") for event in events) == events[-1].response.output_text == TEXT
    await asyncio.to_thread(paced.wait_until_back, "chat", pid)
