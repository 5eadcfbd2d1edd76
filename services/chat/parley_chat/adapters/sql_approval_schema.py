"""The tables of consent: what users are asked about, and the calls that were begun whose effect Parley cannot take back."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import Column, ForeignKey, Index, Table, Text, text

from parley_chat.adapters.sql_metadata import metadata

tool_approvals = Table(
    "tool_approvals",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.turn_id", ondelete="CASCADE"), primary_key=True),
    Column("tool_call_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("effect", Text, nullable=False),  # read, write, delete, external
    Column("arguments_json", Text, nullable=False),  # As the model wrote it.
    Column("state", Text, nullable=False),  # pending, approved, denied, expired, closed
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("decide_time", UtcDateTime, nullable=True),  # NULL while it is pending.
    Column("edited_arguments_json", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
# What waits: few among all.
is_pending = text("state = 'pending'")
Index(
    "ix_tool_approvals_pending",
    tool_approvals.c.user_id,
    tool_approvals.c.create_time,
    tool_approvals.c.tool_call_id,
    sqlite_where=is_pending,
    postgresql_where=is_pending,
)

# Calls of tools that act outside of Parley: noted before they begin, so that none is begun twice.
tool_starts = Table(
    "tool_starts",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.turn_id", ondelete="CASCADE"), primary_key=True),
    Column("tool_call_id", Text, primary_key=True),
    Column("create_time", UtcDateTime, nullable=False),
)
