"""The events of a turn, as small frozen values that `match` takes apart.

    match event:
        case TextDelta(text=text): ...
        case SourcesFound(citations=citations): ...

What an event carries (messages, citations, failures) are the contract's own generated messages. A kind that this release does not
know is passed over, as the contract asks; its place in the sequence is counted all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from google.protobuf.descriptor import EnumDescriptor
from parley.chat.v1 import message_pb2, tool_pb2, turn_event_pb2

RouteName: TypeAlias = Literal["automatic", "standard", "enhanced"]
"""Which way a message is answered: `automatic` lets Parley choose between the other two."""

OnFailureName: TypeAlias = Literal["continue", "restart", "fail"]
"""What becomes of an answer whose writing is interrupted: it goes on from its text, begins anew, or fails."""

_ON_FAILURE: dict[str, message_pb2.OnFailure.ValueType] = {
    "continue": message_pb2.ON_FAILURE_CONTINUE,
    "restart": message_pb2.ON_FAILURE_RESTART,
    "fail": message_pb2.ON_FAILURE_FAIL,
}
_ROUTES: dict[str, message_pb2.Route.ValueType] = {
    "automatic": message_pb2.ROUTE_AUTOMATIC,
    "standard": message_pb2.ROUTE_STANDARD,
    "enhanced": message_pb2.ROUTE_ENHANCED,
}
_ROUTE_NAMES: dict[int, str] = {number: name for name, number in _ROUTES.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """What all events have."""

    turn_id: str
    """The turn that it belongs to."""
    sequence: int
    """Its place in the turn, from 1: the cursor to resume after."""


@dataclass(frozen=True, slots=True)
class TurnStarted(Event):
    """The turn began. First."""

    session_id: str
    """The session, also when the message had it made."""
    user_message_id: str
    """The user's message, as stored."""
    message_id: str
    """The answer, as it will be stored."""
    client_message_id: str
    """The client's name for the user's message."""
    trace_id: str
    """The trace of the turn, 32 hexadecimal digits; empty when it is not traced."""


@dataclass(frozen=True, slots=True)
class RouteChosen(Event):
    """The route was chosen."""

    route: str
    """`standard` or `enhanced`."""
    reason: str
    """Why, in a few words of English."""
    model: str
    """The model or alias that is asked."""


@dataclass(frozen=True, slots=True)
class SourcesFound(Event):
    """The passages that the model was given."""

    citations: Sequence[message_pb2.Citation]
    """Best first, numbered from 1."""


@dataclass(frozen=True, slots=True)
class TextDelta(Event):
    """Text was added to the answer."""

    text: str
    """The text to append."""


@dataclass(frozen=True, slots=True)
class ReasoningDelta(Event):
    """Text was added to the model's reasoning, which is not part of the answer."""

    text: str
    """The text to append."""


@dataclass(frozen=True, slots=True)
class NoticeGiven(Event):
    """Something that the reader should know happened, and the turn goes on."""

    kind: str
    """What it is about: the name of the `parley.chat.v1.NoticeKind`, or its number when this release does not know it."""
    message: str
    """The same in words for a person, in English."""


@dataclass(frozen=True, slots=True)
class TurnRestarted(Event):
    """The answer begins anew: its text and its reasoning until now no longer count."""


@dataclass(frozen=True, slots=True)
class ProviderSwitched(Event):
    """A model failed, and another goes on from the text until now."""

    from_model: str
    """Empty when its provider could not even be asked which it is."""
    to_model: str
    """The model that goes on."""
    reason: str
    """Why the first failed: the name of the `parley.errors.v1.ErrorReason`."""
    at_sequence: int
    """The place of the event after which the other goes on."""
    message: str
    """The same in words for a person, in English."""


@dataclass(frozen=True, slots=True)
class TurnQueued(Event):
    """No model can be reached, and the turn waits for one, as its message asked. Again whenever its place changes."""

    place: int
    """How many waiting turns are answered before this one, plus 1."""
    message: str
    """The same in words for a person, in English."""


@dataclass(frozen=True, slots=True)
class ToolCalled(Event):
    """The model calls a tool; it runs next, or waits for the user's approval first."""

    tool_call_id: str
    """Names the call."""
    tool: str
    """For example `create_task`."""
    arguments_json: str
    """As the model wrote it: mostly a JSON object."""


@dataclass(frozen=True, slots=True)
class ToolReturned(Event):
    """A tool has run."""

    tool_call_id: str
    """The call."""
    tool: str
    """The tool."""
    result_json: str
    """A JSON object: what it returned, or `{"error": …}`."""
    failed: bool
    """True when it did not work."""


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Event):
    """A call waits for the user: `client.tools.approve` or `deny` decides."""

    tool_call_id: str
    """The call."""
    tool: str
    """The tool."""
    arguments_json: str
    """What it would run with: a JSON object."""
    effect: str
    """What the tool does: `read`, `write`, `delete` or `external`."""
    expire_time: datetime
    """Until when the user can decide, UTC."""


@dataclass(frozen=True, slots=True)
class ApprovalDecided(Event):
    """What became of a request for approval. `ToolReturned` follows in every case."""

    tool_call_id: str
    """The call."""
    tool: str
    """The tool."""
    state: str
    """`approved`, `denied` or `expired`."""
    edited_arguments_json: str
    """What it runs with when the user changed it; empty otherwise."""
    reason: str
    """Why the user denied; empty when they gave no reason."""


@dataclass(frozen=True, slots=True)
class BudgetReached(Event):
    """A budget is spent and the answer ends here; `TurnFailed` follows."""

    budget_id: str
    message: str
    """In words, with the limit and when it begins anew."""
    reached: turn_event_pb2.BudgetReached
    """All that is known of it."""


@dataclass(frozen=True, slots=True)
class TurnCompleted(Event):
    """The answer is whole. Last."""

    message: message_pb2.Message
    """The answer as stored."""


@dataclass(frozen=True, slots=True)
class TurnFailed(Event):
    """The turn failed. Last."""

    failure: message_pb2.Failure
    """Why."""
    message: message_pb2.Message
    """What was written until then, as stored."""


@dataclass(frozen=True, slots=True)
class TurnStopped(Event):
    """The turn was stopped by its user. Last."""

    message: message_pb2.Message
    """What was written until then, as stored, with its usage."""
    text_length: int
    """How much was written: Unicode code points."""


TurnEvent: TypeAlias = (
    TurnStarted
    | RouteChosen
    | SourcesFound
    | TextDelta
    | ReasoningDelta
    | NoticeGiven
    | TurnRestarted
    | ProviderSwitched
    | TurnQueued
    | ToolCalled
    | ToolReturned
    | ApprovalRequested
    | ApprovalDecided
    | BudgetReached
    | TurnCompleted
    | TurnFailed
    | TurnStopped
)
LastEvent: TypeAlias = TurnCompleted | TurnFailed | TurnStopped


def event_from(event: turn_event_pb2.TurnEvent) -> TurnEvent | None:  # noqa: PLR0912 - one case for each kind of the contract
    """The event of the contract as a value of this module; None for a kind that this release does not know."""
    turn_id, sequence = event.turn_id, event.sequence
    match event.WhichOneof("event"):
        case "delta":
            return TextDelta(turn_id, sequence, event.delta.text)
        case "reasoning_delta":
            return ReasoningDelta(turn_id, sequence, event.reasoning_delta.text)
        case "started":
            started = event.started
            return TurnStarted(
                turn_id,
                sequence,
                session_id=started.session_id,
                user_message_id=started.user_message_id,
                message_id=started.message_id,
                client_message_id=started.client_message_id,
                trace_id=started.trace_id,
            )
        case "route_chosen":
            chosen = event.route_chosen
            return RouteChosen(turn_id, sequence, route_name(chosen.route), chosen.reason, chosen.model)
        case "sources_found":
            return SourcesFound(turn_id, sequence, tuple(event.sources_found.citations))
        case "notice":
            return NoticeGiven(turn_id, sequence, _notice_kind(event.notice.kind), event.notice.message)
        case "restarted":
            return TurnRestarted(turn_id, sequence)
        case "provider_switched":
            switched = event.provider_switched
            return ProviderSwitched(
                turn_id,
                sequence,
                from_model=switched.from_model,
                to_model=switched.to_model,
                reason=switched.reason,
                at_sequence=switched.at_sequence,
                message=switched.message,
            )
        case "queued":
            return TurnQueued(turn_id, sequence, event.queued.place, event.queued.message)
        case "tool_called":
            called = event.tool_called
            return ToolCalled(turn_id, sequence, called.tool_call_id, called.tool, called.arguments_json)
        case "tool_returned":
            returned = event.tool_returned
            return ToolReturned(
                turn_id, sequence, returned.tool_call_id, returned.tool, returned.result_json, returned.failed
            )
        case "budget_reached":
            reached = event.budget_reached
            return BudgetReached(turn_id, sequence, reached.budget_id, reached.message, reached)
        case "approval_requested":
            asked = event.approval_requested
            return ApprovalRequested(
                turn_id,
                sequence,
                asked.tool_call_id,
                asked.tool,
                asked.arguments_json,
                effect_name(asked.effect),
                asked.expire_time.ToDatetime(UTC),
            )
        case "approval_decided":
            decided = event.approval_decided
            return ApprovalDecided(
                turn_id,
                sequence,
                decided.tool_call_id,
                decided.tool,
                approval_state_name(decided.state),
                decided.arguments_json,
                decided.reason,
            )
        case "completed":
            return TurnCompleted(turn_id, sequence, event.completed.message)
        case "failed":
            return TurnFailed(turn_id, sequence, event.failed.failure, event.failed.message)
        case "stopped":
            return TurnStopped(turn_id, sequence, event.stopped.message, event.stopped.text_length)
        case _:
            return None


def effect_name(number: int) -> str:
    """What a tool does, in words: `read`, `write`, `delete`, `external`; empty when it is not set."""
    return _word(tool_pb2.ToolEffect.DESCRIPTOR, number, "TOOL_EFFECT_")


def approval_state_name(number: int) -> str:
    """How far an approval is, in words: `pending`, `approved`, `denied`, `expired`, `closed`; empty when nobody was asked."""
    return _word(tool_pb2.ToolApprovalState.DESCRIPTOR, number, "TOOL_APPROVAL_STATE_")


def _word(enum: EnumDescriptor, number: int, prefix: str) -> str:
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    return str(number) if value is None else str(value.name.removeprefix(prefix).lower())


def route_name(number: int) -> str:
    """A route in words: `automatic`, `standard`, `enhanced`; empty when it is not set."""
    return _ROUTE_NAMES.get(number, str(number) if number else "")


def route_number(name: str) -> message_pb2.Route.ValueType:
    """The contract's value of a route in words; empty is unspecified. ValueError for another word."""
    if not name:
        return message_pb2.ROUTE_UNSPECIFIED
    if name not in _ROUTES:
        raise ValueError(f"there is no route {name!r}: choose one of {', '.join(_ROUTES)}")
    return _ROUTES[name]


def on_failure_number(name: str) -> message_pb2.OnFailure.ValueType:
    """The contract's value of a policy in words; empty is unspecified. ValueError for another word."""
    if not name:
        return message_pb2.ON_FAILURE_UNSPECIFIED
    if name not in _ON_FAILURE:
        raise ValueError(f"there is no policy {name!r}: choose one of {', '.join(_ON_FAILURE)}")
    return _ON_FAILURE[name]


def _notice_kind(number: int) -> str:
    kinds = turn_event_pb2.NoticeKind.DESCRIPTOR.values_by_number
    return kinds[number].name if number in kinds else str(number)
