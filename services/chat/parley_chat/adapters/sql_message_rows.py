"""Messages and turns as rows of their tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from parley_chat.adapters.turn_event_lines import decode_citations, decode_tool_uses
from parley_chat.domain.conversation import Failure, Message, MessageState, OnFailure, Role, Route, Usage
from parley_chat.domain.turn import Turn, TurnState


def message_row(message: Message) -> dict[str, Any]:
    """The row of a message that begins."""
    return {
        "message_id": message.message_id,
        "session_id": message.session_id,
        "parent_message_id": message.parent_message_id or None,
        "role": message.role.value,
        "text": message.text,
        "state": message.state.value,
        "create_time": message.create_time,
        "turn_id": message.turn_id,
        "client_message_id": message.client_message_id,
        "trace_id": message.trace_id,
        "citations": [],
        "usage": None,
        "route": "",
        "route_reason": "",
        "model": "",
        "failure": None,
        "tool_uses": [],
    }


def to_message(row: Row[Any]) -> Message:
    """Reads a row of `messages`."""
    return Message(
        message_id=row.message_id,
        session_id=row.session_id,
        parent_message_id=row.parent_message_id or "",
        role=Role(row.role),
        text=row.text,
        state=MessageState(row.state),
        create_time=row.create_time,
        turn_id=row.turn_id,
        client_message_id=row.client_message_id,
        citations=decode_citations(row.citations),
        usage=Usage(**row.usage) if row.usage else None,
        route=Route(row.route) if row.route else None,
        model=row.model,
        failure=Failure(**row.failure) if row.failure else None,
        trace_id=row.trace_id,
        tool_uses=decode_tool_uses(row.tool_uses),
        route_reason=row.route_reason,
    )


def to_turn(row: Row[Any]) -> Turn:
    """Reads a row of `turns`."""
    return Turn(
        turn_id=row.turn_id,
        session_id=row.session_id,
        user_id=row.user_id,
        client_message_id=row.client_message_id,
        request_digest=row.request_digest,
        user_message_id=row.user_message_id,
        message_id=row.message_id,
        state=TurnState(row.state),
        create_time=row.create_time,
        wished_route=Route(row.wished_route),
        model=row.model,
        on_failure=OnFailure(row.on_failure),
        queue_when_unavailable=row.queue_when_unavailable,
        fence=row.fence,
        stop_requested=row.stop_request_time is not None,
        queue_time=row.queue_time,
        scopes=tuple(row.scopes),
        time_zone=row.time_zone,
        project_id=row.project_id,
    )
