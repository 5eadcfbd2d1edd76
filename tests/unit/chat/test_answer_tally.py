"""The tally of answers: what is counted, for how long, and what is remembered of what went wrong."""

from __future__ import annotations

from datetime import UTC, datetime

from parley_chat.domain.answer_tally import INCIDENTS_MOST, WINDOW_SECONDS, AnswerCounts, AnswerTally, IncidentKind
from parley_chat.domain.conversation import Failure, Message, MessageState, Role
from parley_chat.domain.turn import TurnCompleted, TurnFailed, TurnStopped

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STALLED = Failure(14, "ERROR_REASON_PROVIDER_STALLED", "It fell silent.", retryable=True)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def message(model: str = "") -> Message:
    return Message(
        message_id="msg_1",
        session_id="ses_1",
        parent_message_id="",
        role=Role.ASSISTANT,
        text="",
        state=MessageState.COMPLETED,
        create_time=NOW,
        turn_id="trn_1",
        model=model,
    )


def test_every_end_is_counted_and_only_failures_are_told() -> None:
    tally = AnswerTally(lambda: NOW, Clock())
    tally.ended(TurnCompleted(message()))
    tally.ended(TurnStopped(message()))
    tally.ended(TurnFailed(STALLED, message("large")))
    report = tally.report()
    assert report.counts == AnswerCounts(ended=3, failed=1, stopped=1)
    (incident,) = report.incidents
    assert (incident.kind, incident.reason, incident.model) == (IncidentKind.FAILED, STALLED.reason, "large")


def test_what_was_made_up_for_is_counted_and_told_the_newest_first() -> None:
    tally = AnswerTally(lambda: NOW, Clock())
    tally.switched("ERROR_REASON_PROVIDER_STALLED", "large", "small")
    tally.without_context()
    tally.waits("ERROR_REASON_PROVIDER_UNAVAILABLE", "")
    report = tally.report()
    assert report.counts == AnswerCounts(switched=1, without_context=1, waited=1)
    assert [incident.kind for incident in report.incidents] == [
        IncidentKind.WAITS,
        IncidentKind.WITHOUT_CONTEXT,
        IncidentKind.SWITCHED,
    ]
    assert report.incidents[-1].next_model == "small"


def test_what_is_more_than_an_hour_old_is_counted_no_more() -> None:
    clock = Clock()
    tally = AnswerTally(lambda: NOW, clock)
    tally.ended(TurnCompleted(message()))
    clock.seconds += WINDOW_SECONDS / 2
    tally.ended(TurnCompleted(message()))
    assert tally.report().counts.ended == 2
    assert tally.report().window_seconds == WINDOW_SECONDS / 2
    clock.seconds += WINDOW_SECONDS / 2
    assert tally.report().counts.ended == 1
    assert tally.report().window_seconds == WINDOW_SECONDS
    clock.seconds += WINDOW_SECONDS
    assert tally.report().counts.ended == 0


def test_only_so_many_incidents_are_remembered() -> None:
    tally = AnswerTally(lambda: NOW, Clock())
    for number in range(INCIDENTS_MOST + 5):
        tally.switched("", str(number), "")
    models = [incident.model for incident in tally.report().incidents]
    assert models == [str(number) for number in range(INCIDENTS_MOST + 4, 4, -1)]
