"""The table of bots that prepare for meetings."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from parley_chat.adapters.sql_metadata import metadata

meeting_bots = Table(
    "meeting_bots",
    metadata,
    Column("bot_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("meeting_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("every_occurrence", Boolean, nullable=False),
    Column("minutes_before", Integer, nullable=False),
    Column("session_id", Text, nullable=False),  # May be deleted: the next brief makes another one.
    Column("instructions", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("next_meeting_id", Text, nullable=False),
    Column("next_brief_time", UtcDateTime, nullable=True),
    Column("brief", JSON(none_as_null=True), nullable=True),
    Column("briefed", JSON, nullable=False),
    Column("wake_time", UtcDateTime, nullable=True),  # When its next turn is; null when only an event can bring one.
    # How far its user's log is known: a place in `events`.
    Column("known_sequence", BigInteger, nullable=False, server_default="0"),
    # Who tends it just now, and until when at the longest; empty when nobody does.
    Column("lease_id", Text, nullable=False, server_default=""),
    Column("lease_expire_time", UtcDateTime, nullable=True),
)
Index("ix_meeting_bots_user", meeting_bots.c.user_id, meeting_bots.c.event_id)
Index("ix_meeting_bots_wake", meeting_bots.c.wake_time)
