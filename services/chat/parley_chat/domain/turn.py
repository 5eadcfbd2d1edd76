"""A turn: one answer on its way, as a sequence of events. Knows no clock, no log, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from parley_chat.domain.budgets import BudgetReached
from parley_chat.domain.conversation import Citation, Failure, Message, OnFailure, Route
from parley_chat.domain.tool_approvals import ApprovalState, ToolEffect
from parley_chat.domain.tool_uses import ToolUse


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
    TOOL_LIMIT = "tool_limit"


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
class ToolCalled:
    """The model calls a tool."""

    tool_call_id: str
    tool: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool has run."""

    tool_call_id: str
    tool: str
    result_json: str
    failed: bool


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A call waits for the user's decision."""

    tool_call_id: str
    tool: str
    arguments_json: str
    effect: ToolEffect
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    """What became of a request for approval."""

    tool_call_id: str
    tool: str
    state: ApprovalState
    """Approved, denied or expired."""
    edited_arguments_json: str
    """What it runs with when the user changed it; empty otherwise."""
    reason: str


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
    | ToolCalled
    | ToolReturned
    | ApprovalRequested
    | ApprovalDecided
    | BudgetReached
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
    scopes: tuple[str, ...] = ()
    """What the token that began it allows: the tools of its model need them."""
    time_zone: str = "UTC"
    """The user's, an IANA name."""
    project_id: str = ""
    """That of its session when it began; empty for none. It may be deleted."""


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


def tool_uses_of(events: Iterable[TurnEvent]) -> tuple[ToolUse, ...]:
    """Gathers the tools that were used, in their order. Uses before an answer began anew stand at its start: the text before it is gone."""
    uses: dict[str, ToolUse] = {}
    length = 0
    number_of_round = -1
    calling = False
    for event in events:
        match event.body:
            case TextDelta(text):
                length += len(text)
                calling = False
            case TurnRestarted():
                length = 0
                uses = {name: replace(use, text_offset=0) for name, use in uses.items()}
            case ToolCalled(tool_call_id, tool, arguments_json):
                number_of_round += not calling
                calling = True
                uses[tool_call_id] = ToolUse(tool_call_id, tool, arguments_json, number_of_round, length)
            case ToolReturned(tool_call_id, _, result_json, failed) if tool_call_id in uses:
                calling = False
                uses[tool_call_id] = replace(uses[tool_call_id], result_json=result_json, failed=failed)
            case ApprovalRequested(tool_call_id) if tool_call_id in uses:
                uses[tool_call_id] = replace(uses[tool_call_id], approval=ApprovalState.PENDING)
            case ApprovalDecided(tool_call_id, _, state, edited, reason) if tool_call_id in uses:
                uses[tool_call_id] = uses[tool_call_id].decided(state, edited, reason)
            case _:
                pass
    return tuple(uses.values())


def request_digest(fields: Sequence[str]) -> str:
    """Makes the fingerprint by which a repeated send is told from another message under the same name."""
    return sha256("\x1f".join(fields).encode()).hexdigest()
