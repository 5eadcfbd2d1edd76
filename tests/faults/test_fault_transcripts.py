"""The judge of the faults itself: what is lost, repeated or out of order is seen, and how deltas were merged makes no difference."""

from __future__ import annotations

import pytest
from parley.chat.v1 import turn_event_pb2
from parley_client.events import event_from
from parley_testing.fault_transcripts import (
    Transcript,
    as_the_client_gives,
    client_stretches,
    first_difference,
    stretches,
    text_of,
)

TURN = "trn_1"


def delta(first: int, text: str, last: int = 0) -> turn_event_pb2.TurnEvent:
    event = turn_event_pb2.TurnEvent(turn_id=TURN, first_sequence=first, sequence=last or first)
    event.delta.text = text
    return event


def other(place: int, kind: str) -> turn_event_pb2.TurnEvent:
    event = turn_event_pb2.TurnEvent(turn_id=TURN, first_sequence=place, sequence=place)
    getattr(event, kind).SetInParent()
    return event


LOG = [other(1, "started"), delta(2, "a"), delta(3, "b"), other(4, "notice"), delta(5, "c"), other(6, "completed")]
MERGED = [other(1, "started"), delta(2, "ab", 3), other(4, "notice"), delta(5, "c"), other(6, "completed")]


def seen(events: list[turn_event_pb2.TurnEvent]) -> Transcript:
    transcript = Transcript("a reader")
    for event in events:
        transcript.take(event)
    return transcript


@pytest.mark.parametrize("events", [LOG, MERGED], ids=["single", "merged"])
def test_a_whole_transcript_is_the_log_however_its_deltas_were_merged(events: list[turn_event_pb2.TurnEvent]) -> None:
    transcript = seen(events)
    assert (transcript.lost, transcript.repeated, transcript.out_of_order) == (0, 0, 0)
    assert transcript.complaints == []
    assert transcript.outcome == "completed"
    assert first_difference(stretches(events), stretches(LOG)) == ""
    typed = [known for event in events if (known := event_from(event)) is not None]
    assert first_difference(client_stretches(typed), as_the_client_gives(LOG)) == ""


def test_what_never_came_is_lost() -> None:
    transcript = seen([LOG[0], LOG[1], LOG[3]])
    assert (transcript.lost, transcript.repeated, transcript.out_of_order) == (1, 0, 0)
    assert transcript.complaints == ["notice 4..4 came after 2"]


def test_what_came_twice_is_repeated() -> None:
    transcript = seen([LOG[0], LOG[1], delta(2, "ab", 3)])
    assert (transcript.lost, transcript.repeated, transcript.out_of_order) == (0, 1, 0)


def test_what_came_late_is_out_of_order_and_no_longer_lost() -> None:
    transcript = seen([LOG[0], LOG[2], LOG[1]])
    assert (transcript.lost, transcript.repeated, transcript.out_of_order) == (0, 0, 1)


def test_an_event_behind_the_outcome_or_of_another_turn_is_complained_of() -> None:
    assert seen([*LOG, delta(7, "d")]).complaints == ["an event behind the outcome: delta 7..7"]
    stranger = delta(2, "z")
    stranger.turn_id = "trn_2"
    assert seen([LOG[0], stranger]).complaints == ["an event of the turn trn_2: delta 2..2"]


@pytest.mark.parametrize(
    "events",
    [
        LOG[:-1],
        [*LOG[:4], delta(5, "x"), LOG[5]],
        [*LOG[:3], delta(4, "b"), *LOG[4:]],
    ],
    ids=["shorter", "another text", "another kind"],
)
def test_another_transcript_differs_from_the_log(events: list[turn_event_pb2.TurnEvent]) -> None:
    assert first_difference(stretches(events), stretches(LOG)) != ""


def test_text_before_a_restart_does_not_count() -> None:
    assert text_of([delta(1, "a"), other(2, "restarted"), delta(3, "b")]) == "b"
