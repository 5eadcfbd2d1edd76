"""The tables of webhooks."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from parley_chat.adapters.sql_metadata import metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("disable_reason", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    # Sealed: the adapter of the port SecretBox wrote them.
    Column("sealed_secret", Text, nullable=False),
    Column("sealed_previous_secret", Text, nullable=False),
    Column("previous_secret_expire_time", UtcDateTime, nullable=True),
    # How far its user's log is delivered: a place in `events`.
    Column("delivered_sequence", BigInteger, nullable=False),
    Column("failed_attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_time", UtcDateTime, nullable=True),  # Only while attempts have failed.
    # Who delivers it just now, and until when at the longest; empty when nobody does.
    Column("lease_id", Text, nullable=False, server_default=""),
    Column("lease_expire_time", UtcDateTime, nullable=True),
    Column("last_turn_time", UtcDateTime, nullable=True),  # When somebody last began to deliver it.
    Column("delivery_counter", BigInteger, nullable=False, server_default="0"),
)
Index("ix_webhooks_user", webhooks.c.user_id, webhooks.c.create_time)

# The last attempts of each.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.webhook_id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # By `delivery_counter`.
    Column("message_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
)
