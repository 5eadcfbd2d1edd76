"""A turn: one answer on its way, as a sequence of events. Knows no clock, no log, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from parley_chat.domain.conversation import Citation, Failure, Message, OnFailure, Route


class TurnState(StrEnum):
    """How far a turn is."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


class NoticeKind(StrEnum):
    """What a notice is about."""

    WITHOUT_CONTEXT = "without_context"
    OFFLINE_MODEL = "offline_model"
    LENGTH_LIMIT = "length_limit"
    CONTENT_FILTER = "content_filter"
    HISTORY_TRIMMED = "history_trimmed"
    CONTINUED = "continued"
    TRYING_AGAIN = "trying_again"


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The turn began."""

    session_id: str
    user_message_id: str
    message_id: str
    client_message_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class RouteChosen:
    """The way was chosen."""

    route: Route
    reason: str
    model: str


@dataclass(frozen=True, slots=True)
class SourcesFound:
    """The model is given these passages."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text was added to the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """Text was added to the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader should know."""

    kind: NoticeKind
    message: str


@dataclass(frozen=True, slots=True)
class TurnRestarted:
    """The answer begins anew; its text until now no longer counts."""


@dataclass(frozen=True, slots=True)
class ProviderSwitched:
    """A model failed, and another goes on from the text until now."""

    from_model: str
    """Empty when its provider could not even be asked which it is."""
    to_model: str
    reason: str
    """The name of the reason in the contract of errors."""
    at_sequence: int
    """The place of the event before."""
    message: str


@dataclass(frozen=True, slots=True)
class TurnQueued:
    """No model can be reached, and the turn waits for one."""

    place: int
    """From 1."""
    message: str


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The answer is whole."""

    message: Message


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn failed; the message holds what was written."""

    failure: Failure
    message: Message


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The turn was stopped; the message holds what was written."""

    message: Message


TurnOutcome = TurnCompleted | TurnFailed | TurnStopped
TurnEventBody = (
    TurnStarted
    | RouteChosen
    | SourcesFound
    | TextDelta
    | ReasoningDelta
    | Notice
    | TurnRestarted
    | ProviderSwitched
    | TurnQueued
    | TurnOutcome
)


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One event of a turn and its place."""

    sequence: int
    """From 1, in steps of 1. Of merged deltas, the place of the last."""
    first_sequence: int
    """The place of the first delta that was merged into this event; otherwise `sequence`."""
    body: TurnEventBody

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return isinstance(self.body, TurnOutcome)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is stored of a turn."""

    turn_id: str
    session_id: str
    user_id: str
    client_message_id: str
    request_digest: str
    user_message_id: str
    message_id: str
    state: TurnState
    create_time: datetime
    wished_route: Route
    model: str
    """The model that the request names; empty for the route's."""
    on_failure: OnFailure
    queue_when_unavailable: bool
    """Whether it waits when no model can be reached."""
    fence: int
    """From 1, and 1 more each time that another process takes the turn over: who holds a lower one may no longer write."""
    stop_requested: bool
    """Whether a stop was asked for that its owner may not have seen."""
    queue_time: datetime | None
    """Since when it waits for a model; None when it does not."""


def merge_deltas(events: Iterable[TurnEvent]) -> list[TurnEvent]:
    """Merges neighbouring deltas of the same kind, so that a reader who fell behind gets fewer and longer ones."""
    merged: list[TurnEvent] = []
    run: list[TurnEvent] = []

    def close_run() -> None:
        if len(run) == 1:
            merged.append(run[0])
        elif run:
            kind = type(run[0].body)
            text = "".join(event.body.text for event in run if isinstance(event.body, TextDelta | ReasoningDelta))
            body = TextDelta(text) if kind is TextDelta else ReasoningDelta(text)
            merged.append(TurnEvent(run[-1].sequence, run[0].first_sequence, body))
        run.clear()

    for event in events:
        if isinstance(event.body, TextDelta | ReasoningDelta):
            if run and type(run[0].body) is not type(event.body):
                close_run()
            run.append(event)
        else:
            close_run()
            merged.append(event)
    close_run()
    return merged


def text_of(events: Iterable[TurnEvent]) -> str:
    """Joins the text that the events added to the answer since it began, or began anew."""
    parts: list[str] = []
    for event in events:
        if isinstance(event.body, TextDelta):
            parts.append(event.body.text)
        elif isinstance(event.body, TurnRestarted):
            parts.clear()
    return "".join(parts)


def request_digest(fields: Sequence[str]) -> str:
    """Makes the fingerprint by which a repeated send is told from another message under the same name."""
    return sha256("\x1f".join(fields).encode()).hexdigest()
