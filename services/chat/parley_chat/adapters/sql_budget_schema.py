"""The tables of budgets. Amounts are whole: tokens, and millionths of a US dollar."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from parley_chat.adapters.sql_metadata import metadata

# The user's own, and of the operator's what is spent: these have a row once something was spent.
budgets = Table(
    "budgets",
    metadata,
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
    Column("budget_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("period", Text, nullable=False),  # day, month, total
    Column("time_zone", Text, nullable=False),
    Column(
        "limit_cost_usd_micros", BigInteger, nullable=True
    ),  # NULL for no limit; the operator's are in the settings.
    Column("limit_tokens", BigInteger, nullable=True),
    Column("create_time", UtcDateTime, nullable=True),  # NULL for the operator's.
    Column("update_time", UtcDateTime, nullable=True),
    # The day or month that `spent_…` is of. NULL for a total.
    Column("window_start_time", UtcDateTime, nullable=True),
    Column("window_end_time", UtcDateTime, nullable=True),
    # What `usage_records` add up to in the window.
    Column("spent_cost_usd_micros", BigInteger, nullable=False),
    Column("spent_tokens", BigInteger, nullable=False),
)

# What is held for texts that are being written, in all budgets of their user alike. Counts only while its turn runs, or until it expires:
# so none that is left over holds anything.
budget_holds = Table(
    "budget_holds",
    metadata,
    Column("holder_id", Text, primary_key=True),  # The turn, or a text's own name.
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("cost_usd_micros", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("expire_time", UtcDateTime, nullable=True),  # NULL for a turn.
)
Index("ix_budget_holds_user", budget_holds.c.user_id)
