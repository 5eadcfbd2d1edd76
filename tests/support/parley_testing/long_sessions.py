"""Sessions of any length, written straight into chat's database: nobody waits for their turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from parley_chat.adapters.sql_schema import messages, sessions
from parley_shared.sql import Database
from sqlalchemy import insert, update

QUESTION = "What do the herons of the northern lake eat in the winter? "
ANSWER = "Mostly small fish, and what they find at the edges of the ice. " * 6


async def seed(database: Database, user_id: str, size: int, *, title: str = "Herons", answer: str = ANSWER) -> str:
    """A session with so many messages, each following the one before."""
    session_id, now = f"ses_{uuid4().hex}", datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for position in range(1, size + 1):
        is_question = position % 2 == 1
        rows.append(
            {
                "message_id": f"msg_{uuid4().hex}",
                "session_id": session_id,
                "user_id": user_id,
                "parent_message_id": rows[-1]["message_id"] if rows else None,
                "position": position,
                "role": "user" if is_question else "assistant",
                "text": QUESTION if is_question else answer,
                "state": "completed",
                "create_time": now + timedelta(microseconds=position),
                "turn_id": f"trn_{uuid4().hex}",
                "citations": [],
                "route": "" if is_question else "standard",
                "model": "",
                "client_message_id": "",
                "trace_id": "",
                "tool_uses": [],
                "route_reason": "",
            }
        )
    async with database.write() as connection:
        await connection.execute(
            insert(sessions).values(
                session_id=session_id,
                user_id=user_id,
                title=title,
                title_is_set=True,
                create_time=now,
                update_time=now,
                message_counter=size,
            )
        )
        await connection.execute(insert(messages), rows)
        await connection.execute(
            update(sessions).where(sessions.c.session_id == session_id).values(tip_message_id=rows[-1]["message_id"])
        )
    return session_id
