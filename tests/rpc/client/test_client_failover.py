"""A client with two Parleys: which of them gets what when one fails, comes back, or is said to serve something. On real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from parley.system.v1 import system_service_pb2
from parley_client import (
    Backoff,
    Failover,
    FailoverEvent,
    InvalidArgumentError,
    Parley,
    ResourceExhaustedError,
    Side,
    UnavailableError,
)
from parley_testing.scripted_chat import SESSION_ID, Abort, Silence, turn_events
from parley_testing.two_sides import SwitchableParley, switchable_parley

QUICK = Backoff(attempts=4, first_seconds=0.001, most_seconds=0.01)
PATIENT = Backoff(attempts=10_000, first_seconds=0.01, most_seconds=0.05)
AWAY = Abort(grpc.StatusCode.UNAVAILABLE, "upstream connect error")


class Told:
    """What `on_failover` was told, for a test to wait for."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[FailoverEvent] = asyncio.Queue()

    def __call__(self, event: FailoverEvent) -> None:
        if event.feature == "chat":
            self._events.put_nowait(event)

    async def next(self) -> tuple[str, str]:
        """The next move of chat: where to, and why."""
        async with asyncio.timeout(60):
            event = await self._events.get()
        return event.side, event.reason

    @property
    def nothing(self) -> bool:
        return self._events.empty()


@pytest.fixture
async def primary() -> AsyncIterator[SwitchableParley]:
    async with switchable_parley("primary") as parley:
        yield parley


@pytest.fixture
async def secondary() -> AsyncIterator[SwitchableParley]:
    async with switchable_parley("secondary") as parley:
        yield parley


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def connect(primary: SwitchableParley, secondary: SwitchableParley, told: Told) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_client(**policy: Any) -> AsyncIterator[Parley]:
        async with Parley.connect(
            primary.address,
            token="first",
            secondary=Side(secondary.address, token="second"),
            failover=Failover(stay_seconds=0.0, probe=PATIENT, **policy),
            on_failover=told,
            backoff=QUICK,
            stream_backoff=PATIENT,
        ) as client:
            yield client

    return open_client


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the client tells nobody of it
            await asyncio.sleep(0.01)


async def who_answers(client: Parley) -> str:
    return (await client.sessions.get(SESSION_ID)).title


async def test_it_goes_to_the_secondary_when_nobody_listens_and_back_when_somebody_does(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley, told: Told
) -> None:
    async with connect() as client:
        assert await who_answers(client) == "primary"
        await primary.stop()
        assert await who_answers(client) == "secondary"
        assert await told.next() == ("secondary", "failed")
        assert client.side_of("chat") == "secondary"
        assert not client.at("primary").is_available("chat")
        assert client.is_available("chat")
        await primary.start()
        assert await told.next() == ("primary", "recovered")
        assert await who_answers(client) == "primary"
    assert primary.chat.received[0].metadata["authorization"] == "Bearer first"
    assert secondary.chat.received[0].metadata["authorization"] == "Bearer second"


async def test_a_read_that_is_cut_so_often_is_answered_by_the_other_in_the_same_call(
    connect: Any, primary: SwitchableParley, told: Told
) -> None:
    primary.chat.answers["GetSession"].clear()
    primary.chat.answer("GetSession", AWAY, AWAY, AWAY)
    async with connect(failures=3) as client:
        assert await who_answers(client) == "secondary"
        assert await told.next() == ("secondary", "failed")
    assert len(primary.chat.received) == 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidArgumentError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhaustedError),
    ],
)
async def test_an_answer_that_is_an_error_moves_nothing(
    connect: Any, primary: SwitchableParley, told: Told, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    primary.chat.answers["GetSession"].clear()
    primary.chat.answer("GetSession", *[Abort(code)] * 10)
    async with connect() as client:
        for _ in range(10):
            with pytest.raises(kind):
                await client.sessions.get(SESSION_ID)
        assert client.side_of("chat") == "primary"
    assert told.nothing


async def test_a_write_that_may_have_arrived_is_not_made_again(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley, told: Told
) -> None:
    primary.chat.answer("CreateSession", AWAY)
    async with connect(failures=1) as client:
        with pytest.raises(UnavailableError):
            await client.sessions.create(title="Plans")
        assert await told.next() == ("secondary", "failed")
    assert secondary.chat.requests("CreateSession") == []


async def test_a_message_that_never_left_is_sent_at_the_other_side(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley
) -> None:
    await primary.stop()
    secondary.chat.script(turn_events("hello"))
    async with connect() as client:
        turn = client.stream_reply("Hi", client_message_id="mine")
        assert (await turn.message()).text == "hello"
        assert turn.side == "secondary"
    [request] = secondary.chat.requests("StreamReply")
    assert request.client_message_id == "mine"


async def test_a_turn_that_has_begun_stays_where_it_is_and_the_next_one_begins_at_the_other(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley, told: Told
) -> None:
    events = turn_events("a", "b", "c")
    silence = Silence()
    primary.chat.script([*events[:3], silence], events[3:])
    secondary.chat.script(turn_events("elsewhere"))
    async with connect() as client:
        turn = client.stream_reply("Hi")
        for _ in range(3):
            await anext(turn)
        await silence.reached.wait()
        await primary.stop()
        rest = asyncio.create_task(turn.message())
        assert await told.next() == ("secondary", "failed")
        assert (await client.stream_reply("And now?").message()).text == "elsewhere"
        assert not rest.done()
        await primary.start()
        assert (await rest).text == "abc"
        assert turn.side == "primary"
    assert secondary.chat.requests("ResumeReply") == []
    assert {request.after_sequence for request in primary.chat.requests("ResumeReply")} == {3}


async def test_a_turn_of_both_sides_is_resumed_at_the_other(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley
) -> None:
    events = turn_events("a", "b", "c")
    silence = Silence()
    primary.chat.script([*events[:3], silence])
    secondary.chat.script(events[3:])
    async with connect(shared_data=True) as client:
        turn = client.stream_reply("Hi")
        for _ in range(3):
            await anext(turn)
        await silence.reached.wait()
        await primary.stop()
        assert (await turn.message()).text == "abc"
        assert turn.side == "secondary"
    [request] = secondary.chat.requests("ResumeReply")
    assert request.after_sequence == 3


@pytest.mark.parametrize("shared_data", [False, True])
async def test_a_message_that_may_have_arrived_goes_on_only_to_the_same_data(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley, shared_data: bool
) -> None:
    primary.chat.answer("SendMessage", *[AWAY] * 4)
    secondary.chat.answer("SendMessage", Abort(grpc.StatusCode.INVALID_ARGUMENT))
    async with connect(shared_data=shared_data) as client:
        with pytest.raises(InvalidArgumentError if shared_data else UnavailableError):
            await client.send_message("Hi", client_message_id="mine")
    names = [request.client_message_id for request in secondary.chat.requests("SendMessage")]
    assert names == (["mine"] if shared_data else [])


async def test_a_feature_may_be_placed_at_the_secondary_and_falls_over_to_the_primary(
    connect: Any, secondary: SwitchableParley
) -> None:
    async with connect(features={"chat": "secondary"}) as client:
        assert await who_answers(client) == "secondary"
        assert client.side_of("documents") == "primary"
        await secondary.stop()
        assert await who_answers(client) == "primary"


async def test_a_feature_of_one_side_only_never_leaves_it(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley
) -> None:
    async with connect(features={"chat": "secondary_only"}) as client:
        await secondary.stop()
        with pytest.raises(UnavailableError):
            await who_answers(client)
        assert not client.is_available("chat")
        await secondary.start()
        await until(lambda: client.is_available("chat"))
        assert await who_answers(client) == "secondary"
    assert primary.chat.received == []


async def test_a_flag_says_live_which_side_serves_a_feature(
    connect: Any, primary: SwitchableParley, told: Told
) -> None:
    async with connect() as client:
        assert await who_answers(client) == "primary"
        primary.flags.set("failover.chat", value="secondary")
        assert await told.next() == ("secondary", "placed")
        assert await who_answers(client) == "secondary"
        primary.flags.set("failover.chat", value="nonsense")
        assert await told.next() == ("primary", "placed")
        primary.flags.set("failover.chat", value="secondary_only")
        assert await told.next() == ("secondary", "placed")
        primary.flags.set("failover.chat", enabled=False)
        assert await told.next() == ("primary", "placed")


async def test_when_neither_answers_the_error_is_raised_and_the_first_that_is_back_serves(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley
) -> None:
    await primary.stop()
    await secondary.stop()
    async with connect() as client:
        with pytest.raises(UnavailableError):
            await who_answers(client)
        assert not client.is_available("chat")
        await secondary.start()
        await until(lambda: client.side_of("chat") == "secondary")
        assert await who_answers(client) == "secondary"


async def test_a_listener_that_fails_fails_no_call(primary: SwitchableParley, secondary: SwitchableParley) -> None:
    def fail(event: FailoverEvent) -> None:
        raise RuntimeError("broken listener")

    unhandled: list[str] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: unhandled.append(context["message"]))
    try:
        await primary.stop()
        async with Parley.connect(primary.address, token="t", secondary=secondary.address, on_failover=fail) as client:
            assert await who_answers(client) == "secondary"
    finally:
        loop.set_exception_handler(before)
    assert "on_failover raised" in unhandled
    assert "authorization" not in secondary.chat.received[0].metadata, "a token must not go where it does not belong"


async def test_both_sides_of_one_parley_get_the_same_token(
    primary: SwitchableParley, secondary: SwitchableParley
) -> None:
    await primary.stop()
    async with Parley.connect(
        primary.address, token="t", secondary=secondary.address, failover=Failover(shared_data=True)
    ) as client:
        assert await who_answers(client) == "secondary"
    assert secondary.chat.received[0].metadata["authorization"] == "Bearer t"


# ---- Flags and availability, with one Parley and with two


async def test_a_flag_is_the_callers_default_until_it_is_known_and_then_what_it_is_at_any_time(
    primary: SwitchableParley,
) -> None:
    primary.flags.set("new-editor", value="blue")
    async with Parley.connect(primary.address, token="t") as client:
        assert client.is_feature_enabled("new-editor") is False
        assert client.is_feature_enabled("new-editor", default=True) is True
        assert await client.flags_ready(timeout_seconds=60)
        assert client.is_feature_enabled("new-editor") is True
        assert client.feature_value("new-editor") == "blue"
        assert client.is_feature_enabled("unknown", default=True) is True
        primary.flags.set("new-editor", enabled=False)
        await until(lambda: not client.is_feature_enabled("new-editor", default=True))
        assert client.feature_value("new-editor", default="grey") == "grey"
        await primary.stop()
        assert client.is_feature_enabled("new-editor", default=True) is False
        primary.flags.set("new-editor")
        await primary.start()
        await until(lambda: client.is_feature_enabled("new-editor"))


async def test_flags_of_a_parley_that_is_away_are_not_known(primary: SwitchableParley) -> None:
    await primary.stop()
    async with Parley.connect(primary.address, token="t") as client:
        assert not await client.flags_ready(timeout_seconds=0.05)
        assert client.is_feature_enabled("new-editor", default=True) is True


async def test_flags_are_those_of_the_side_that_serves_them_and_of_the_other_where_it_has_none(
    connect: Any, primary: SwitchableParley, secondary: SwitchableParley
) -> None:
    primary.flags.set("of-both", enabled=True)
    primary.flags.set("of-primary", enabled=True)
    secondary.flags.set("of-both", enabled=False)
    async with connect() as client:
        assert await client.flags_ready(timeout_seconds=60)
        await primary.stop()
        await until(lambda: not client.is_feature_enabled("of-both", default=True))
        assert client.is_feature_enabled("of-primary")
        await primary.start()
        await until(lambda: client.is_feature_enabled("of-both"))


async def test_a_feature_is_available_when_the_services_that_it_needs_take_calls(primary: SwitchableParley) -> None:
    def service(name: str, state: system_service_pb2.ServingState.ValueType) -> system_service_pb2.ServiceStatus:
        return system_service_pb2.ServiceStatus(service=name, state=state)

    primary.system.status = system_service_pb2.GetStatusResponse(
        state=system_service_pb2.SERVING_STATE_SERVING,
        services=[
            service("chat", system_service_pb2.SERVING_STATE_SERVING),
            service("inference", system_service_pb2.SERVING_STATE_SERVING),
            service("retrieval", system_service_pb2.SERVING_STATE_UNREACHABLE),
        ],
    )
    async with Parley.connect(primary.address, token="t", backoff=QUICK) as client:
        assert client.is_available("documents"), "nothing speaks against it yet"
        await until(lambda: not client.is_available("documents"))
        assert client.is_available("chat")
        assert client.side_of("documents") == "primary"
        await primary.stop()
        with pytest.raises(UnavailableError):
            await who_answers(client)
        assert not client.is_available("chat")
        await primary.start()
        await until_answered(client)
        assert client.is_available("chat")


async def until_answered(client: Parley) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await who_answers(client)
            except UnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_client_of_one_parley_has_no_other_side(primary: SwitchableParley) -> None:
    with pytest.raises(ValueError, match="secondary"):
        Parley.connect(primary.address, failover=Failover())
    async with Parley.connect(primary.address) as client:
        with pytest.raises(ValueError, match="no secondary"):
            client.at("secondary")
