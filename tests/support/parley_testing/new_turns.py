"""Turns to store as they are, for tests of what is stored. Nobody runs them."""

from __future__ import annotations

from datetime import UTC, datetime

from parley_chat.domain.conversation import OnFailure, Route, new_message_id, new_turn_id
from parley_chat.ports.conversations import NewTurn


def new_turn(user_id: str, session_id: str, text: str = "Hello") -> NewTurn:
    """A message that nobody answers, for the session."""
    turn_id = new_turn_id()
    return NewTurn(
        turn_id=turn_id,
        user_id=user_id,
        session_id=session_id,
        new_session_id="",
        parent_message_id=None,
        client_message_id=turn_id,
        request_digest="",
        user_message_id=new_message_id(),
        message_id=new_message_id(),
        text=text,
        title="",
        time=datetime.now(UTC),
        trace_id="",
        wished_route=Route.STANDARD,
        model="",
        on_failure=OnFailure.CONTINUE,
        queue_when_unavailable=False,
        scopes=(),
        time_zone="UTC",
        owner_id="rpl_1",
        most_running=1000,
    )
