"""The table of the audit trail."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import BigInteger, Column, Index, Table, Text

from parley_chat.adapters.sql_metadata import metadata

# No reference to users: what was done with an account stays for its time, whether or not the account does.
audit_events = Table(
    "audit_events",
    metadata,
    Column("audit_event_id", Text, primary_key=True),  # Greater for a later time.
    Column("user_id", Text, nullable=False),  # Empty for what concerns no account.
    Column("deed", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("last_time", UtcDateTime, nullable=False),
    Column("count", BigInteger, nullable=False),
    # What is folded into one row: deed, account, window and address. NULL for a row by itself.
    Column("fold_key", Text, nullable=True, unique=True),
    Column("actor_kind", Text, nullable=False),
    Column("actor_user_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("actor_token_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
)
Index("ix_audit_events_user", audit_events.c.user_id, audit_events.c.audit_event_id)
Index("ix_audit_events_actor", audit_events.c.actor_user_id, audit_events.c.audit_event_id)
Index("ix_audit_events_last_time", audit_events.c.last_time)
