"""Sessions as rows: how one is read with the turn that runs in it, and how one is written."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from parley_chat.adapters.sql_schema import sessions, turns
from parley_chat.domain.conversation import Session
from parley_chat.domain.turn import TurnState

running_turn_id = (
    select(turns.c.turn_id)
    .where(turns.c.session_id == sessions.c.session_id, turns.c.state == TurnState.RUNNING.value)
    .order_by(turns.c.create_time.desc(), turns.c.turn_id.desc())
    .limit(1)
    .correlate(sessions)
    .scalar_subquery()
    .label("running_turn_id")
)
select_session = select(sessions, running_turn_id)
"""What `to_session` reads."""


def session_row(session: Session, *, title_is_set: bool) -> dict[str, Any]:
    """The row of a session without messages."""
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "title": session.title,
        "title_is_set": title_is_set,
        "create_time": session.create_time,
        "update_time": session.update_time,
        "tip_message_id": session.tip_message_id or None,
        "message_counter": 0,
        "project_id": session.project_id,
    }


def to_session(row: Row[Any]) -> Session:
    """Reads a row of `select_session`."""
    return Session(
        row.session_id,
        row.user_id,
        row.title,
        row.create_time,
        row.update_time,
        row.tip_message_id or "",
        row.running_turn_id or "",
        row.project_id,
    )
