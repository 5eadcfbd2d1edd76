"""The route of a turn: told in its events and its trace, counted, and taken over from the answer before where a message goes on from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_shared.metering import recorded
from parley_shared.telemetry import spans_of
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream


async def say(
    running: RunningChat, inference: ScriptedInference, person: Person, message: str, **fields: Any
) -> list[turn_event_pb2.TurnEvent]:
    """Sends a message and has it answered; gives the events."""
    reader = stream(running, person, message=message, **fields)
    call = await inference.next_call()
    assert (
        call.request.model == {"standard": "fast", "enhanced": "strong"}[route_of(await reader.until("route_chosen"))]
    )
    call.say("So it is.")
    call.finish()
    return await reader.to_end()


def route_of(event: turn_event_pb2.TurnEvent) -> str:
    return message_pb2.Route.Name(event.route_chosen.route).removeprefix("ROUTE_").lower()


def chosen_in(events: list[turn_event_pb2.TurnEvent]) -> turn_event_pb2.TurnEvent:
    return next(event for event in events if event.HasField("route_chosen"))


async def test_small_talk_asks_the_fast_model_and_analysis_the_strong_one(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    for message, route, reason in (
        ("Hi!", "standard", "is small talk: “hi”"),
        ("Compare the trade-offs", "enhanced", "asks for analysis: “compare”, “trade offs”"),
    ):
        events = await say(running, inference, alice, message)
        assert route_of(chosen_in(events)) == route
        assert chosen_in(events).route_chosen.reason == reason
        assert message_pb2.Route.Name(events[-1].completed.message.route) == f"ROUTE_{route.upper()}"


async def test_a_follow_up_goes_the_way_of_the_answer_before(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    first = await say(running, inference, alice, "Hi!")
    session_id = first[0].started.session_id
    followed = await say(running, inference, alice, "and why?", session_id=session_id)
    assert route_of(chosen_in(followed)) == "standard"
    assert chosen_in(followed).route_chosen.reason.startswith("goes on from the answer before")
    # To begin with it would be a question that may need the documents.
    alone = await say(running, inference, alice, "and why?")
    assert route_of(chosen_in(alone)) == "enhanced"


async def test_a_follow_up_to_another_branch_goes_its_way(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    first = await say(running, inference, alice, "Hi!")
    started = first[0].started
    await say(running, inference, alice, "Compare the two leases", session_id=started.session_id)
    fields = {"session_id": started.session_id, "parent_message_id": started.message_id}
    assert route_of(chosen_in(await say(running, inference, alice, "go on", **fields))) == "standard"


async def test_the_trace_of_a_turn_tells_the_route_and_no_word_of_the_message(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    events = await say(running, inference, alice, "Compare Sesamoid with Parietal")
    trace_id = events[0].started.trace_id
    (turn,) = [span for span in spans_of(trace_id) if span.name == "chat.turn"]
    attributes = dict(turn.attributes or {})
    assert attributes["parley.turn.route"] == "enhanced"
    assert attributes["parley.turn.route_signs"] == "analysis"
    assert "sesamoid" not in str([dict(span.attributes or {}) for span in spans_of(trace_id)]).lower()


async def test_a_whole_answer_tells_its_route_too(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    calling = running.chat.SendMessage(pb.SendMessageRequest(message="Thanks!"), metadata=alice.metadata)
    call = await inference.next_call()
    call.say("You are welcome.")
    call.finish()
    answer = await calling
    assert (answer.route, answer.route_reason) == (message_pb2.ROUTE_STANDARD, "is small talk: “thanks”")


async def test_the_reason_is_stored_with_the_answer(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    events = await say(running, inference, alice, "Hi!")
    request = pb.ListMessagesRequest(session_id=events[0].started.session_id)
    listed = await running.chat.ListMessages(request, metadata=alice.metadata)
    assert [message.route_reason for message in listed.messages] == ["is small talk: “hi”", ""]
    assert listed.messages[0] == events[-1].completed.message


async def test_every_turn_is_counted_once_by_route_and_by_who_chose_it(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    before = counted()
    async with running_chat(tmp_path, inference=inference.address) as running:
        alice = await running.sign_up()
        await say(running, inference, alice, "Hi!")
        await say(running, inference, alice, "Hi!", route=message_pb2.ROUTE_ENHANCED)
        await say(running, inference, alice, "Hi!", route=message_pb2.ROUTE_ENHANCED)
    assert counted() - before == {("standard", "automatic"): 1, ("enhanced", "asked"): 2}


def counted() -> Counter[tuple[object, object]]:
    """What this process has counted until now."""
    return Counter(
        {
            (one.attributes["parley.route"], one.attributes["parley.route.choice"]): one.count
            for one in recorded("parley.chat.routes")
        }
    )
