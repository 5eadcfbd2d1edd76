"""The tables of the calendar: accounts, which are also the schedule of their synchronization, and events."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from parley_chat.adapters.sql_metadata import metadata

calendar_accounts = Table(
    "calendar_accounts",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # feed, caldav
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("time_zone", Text, nullable=False),  # Empty when the calendar says it.
    Column("wanted", JSON, nullable=False),  # A list of calendars; empty for all.
    Column("sealed", Text, nullable=False),  # URL, user name, password and the token of notices, encrypted.
    Column("notice_hash", Text, nullable=False, unique=True),  # SHA-256 of the token of notices, hexadecimal.
    Column("state", Text, nullable=False),  # pending, ready, failed
    Column("error", Text, nullable=False),
    Column("warnings", JSON, nullable=False),  # A list of strings.
    Column("event_count", Integer, nullable=False),
    Column("calendars", JSON, nullable=False),  # A list of objects.
    Column("last_sync_time", UtcDateTime, nullable=True),
    Column("last_success_time", UtcDateTime, nullable=True),
    Column("next_sync_time", UtcDateTime, nullable=True),  # NULL when it is about to be deleted.
    # Until when one replica synchronizes it alone; NULL when none does. Each has a higher fence than the one before.
    Column("lease_expire_time", UtcDateTime, nullable=True),
    Column("fence", Integer, nullable=False),
    Column("failures", Integer, nullable=False),  # In a row.
    Column("progress", Text, nullable=False),  # What the source wrote; empty before the first time.
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)
Index("ix_calendar_accounts_user", calendar_accounts.c.user_id, calendar_accounts.c.create_time)
_is_synced = text("next_sync_time IS NOT NULL")
Index(
    "ix_calendar_accounts_due",
    calendar_accounts.c.next_sync_time,
    sqlite_where=_is_synced,
    postgresql_where=_is_synced,
)

calendar_events = Table(
    "calendar_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    # NULL for the user's own.
    Column("account_id", Text, ForeignKey("calendar_accounts.account_id", ondelete="CASCADE"), nullable=True),
    Column("calendar_id", Text, nullable=False),
    Column("resource", Text, nullable=False),  # What the account calls it; empty for the user's own, like the next two.
    Column("etag", Text, nullable=False),
    Column("digest", Text, nullable=False),
    # Within these it takes place, if at all: `body` says when.
    Column("first_time", UtcDateTime, nullable=False),
    Column("last_time", UtcDateTime, nullable=True),  # NULL when it recurs without an end.
    Column("body", JSON, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    UniqueConstraint("account_id", "resource"),
)
Index("ix_calendar_events_time", calendar_events.c.user_id, calendar_events.c.first_time, calendar_events.c.last_time)
