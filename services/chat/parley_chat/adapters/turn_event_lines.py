"""Writes turn events as lines of JSON and reads them back: `{"sequence": 7, "delta": {"text": "Hello"}}`. Not where lines are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from parley_chat.domain.budgets import BudgetMeasure, BudgetPeriod, BudgetReached
from parley_chat.domain.conversation import Citation, Failure, Message, MessageState, Quote, Role, Route, Usage
from parley_chat.domain.tool_approvals import ApprovalState, ToolEffect
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.turn import (
    ApprovalDecided,
    ApprovalRequested,
    Notice,
    NoticeKind,
    ProviderSwitched,
    ReasoningDelta,
    RouteChosen,
    SourcesFound,
    TextDelta,
    ToolCalled,
    ToolReturned,
    TurnCompleted,
    TurnEvent,
    TurnEventBody,
    TurnFailed,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
)

_KINDS: dict[type[TurnEventBody], str] = {
    TurnStarted: "started",
    RouteChosen: "route_chosen",
    SourcesFound: "sources_found",
    TextDelta: "delta",
    ReasoningDelta: "reasoning_delta",
    Notice: "notice",
    TurnRestarted: "restarted",
    ProviderSwitched: "provider_switched",
    TurnQueued: "queued",
    ToolCalled: "tool_called",
    ToolReturned: "tool_returned",
    ApprovalRequested: "approval_requested",
    ApprovalDecided: "approval_decided",
    BudgetReached: "budget_reached",
    TurnCompleted: "completed",
    TurnFailed: "failed",
    TurnStopped: "stopped",
}

_FLAT: dict[str, type[TurnStarted | TurnRestarted | ProviderSwitched | TurnQueued | ToolCalled | ToolReturned]] = {
    _KINDS[kind]: kind for kind in (TurnStarted, TurnRestarted, ProviderSwitched, TurnQueued, ToolCalled, ToolReturned)
}
"""Kinds whose fields are texts and numbers only."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=datetime.isoformat).encode


def encode_line(sequence: int, body: TurnEventBody) -> bytes:
    """Makes the line of an event, its line end included. JSON escapes line ends in texts, so a line is an event."""
    kind = _KINDS[type(body)]
    fields = {"text": body.text} if isinstance(body, TextDelta | ReasoningDelta) else asdict(body)
    return (_encode({"sequence": sequence, kind: fields}) + "\n").encode(errors="surrogatepass")


def decode_line(line: bytes) -> TurnEvent:
    """Reads an event back. Raises ValueError for what `encode_line` did not make."""
    try:
        record: dict[str, Any] = json.loads(line.decode(errors="surrogatepass"))
        sequence = record.pop("sequence")
        ((kind, fields),) = record.items()
        return TurnEvent(sequence, sequence, _decode_body(kind, fields))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a turn event") from error


def decode_citations(values: list[dict[str, Any]]) -> tuple[Citation, ...]:
    """Reads citations back from the dictionaries that `asdict` makes."""
    return tuple(
        Citation(**{**value, "quotes": tuple(Quote(**quote) for quote in value.get("quotes", ()))}) for value in values
    )


def decode_tool_uses(values: Iterable[dict[str, Any]]) -> tuple[ToolUse, ...]:
    """Reads uses of tools back from the dictionaries that `asdict` makes."""
    return tuple(
        ToolUse(**{**value, "approval": ApprovalState(value["approval"]) if value.get("approval") else None})
        for value in values
    )


def _decode_body(kind: str, fields: dict[str, Any]) -> TurnEventBody:
    match kind:
        case "delta":
            return TextDelta(fields["text"])
        case "reasoning_delta":
            return ReasoningDelta(fields["text"])
        case "route_chosen":
            return RouteChosen(Route(fields["route"]), fields["reason"], fields["model"])
        case "sources_found":
            return SourcesFound(decode_citations(fields["citations"]))
        case _ if kind in _FLAT:
            return _FLAT[kind](**fields)
        case "approval_requested" | "approval_decided":
            return _decode_approval(kind, fields)
        case "notice":
            return Notice(NoticeKind(fields["kind"]), fields["message"])
        case "budget_reached":
            return _decode_reached(fields)
        case "failed":
            return TurnFailed(Failure(**fields["failure"]), decode_message(fields["message"]))
        case "completed" | "stopped":
            message = decode_message(fields["message"])
            return TurnCompleted(message) if kind == "completed" else TurnStopped(message)
        case _:
            raise ValueError(f"no kind of turn event: {kind[:40]!r}")


def _decode_reached(fields: dict[str, Any]) -> BudgetReached:
    return BudgetReached(
        **{
            **fields,
            "period": BudgetPeriod(fields["period"]),
            "measure": BudgetMeasure(fields["measure"]),
            "renew_time": datetime.fromisoformat(fields["renew_time"]) if fields["renew_time"] else None,
        }
    )


def _decode_approval(kind: str, fields: dict[str, Any]) -> ApprovalRequested | ApprovalDecided:
    if kind == "approval_decided":
        return ApprovalDecided(**{**fields, "state": ApprovalState(fields["state"])})
    effect, expire_time = ToolEffect(fields["effect"]), datetime.fromisoformat(fields["expire_time"])
    return ApprovalRequested(**{**fields, "effect": effect, "expire_time": expire_time})


def decode_message(fields: dict[str, Any]) -> Message:
    """Reads a message back from the dictionary that `asdict` makes, with its time as text."""
    return Message(
        **{
            **fields,
            "role": Role(fields["role"]),
            "state": MessageState(fields["state"]),
            "create_time": datetime.fromisoformat(fields["create_time"]),
            "citations": decode_citations(fields["citations"]),
            "usage": Usage(**fields["usage"]) if fields["usage"] else None,
            "route": Route(fields["route"]) if fields["route"] else None,
            "failure": Failure(**fields["failure"]) if fields["failure"] else None,
            "tool_uses": decode_tool_uses(fields.get("tool_uses", ())),
        }
    )
