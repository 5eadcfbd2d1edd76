"""The calendar: accounts that are synchronized, and events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "calendar_accounts",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("notice_hash", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("event_count", sa.Integer, nullable=False),
        sa.Column("calendars", sa.JSON, nullable=False),
        sa.Column("last_sync_time", UtcDateTime, nullable=True),
        sa.Column("last_success_time", UtcDateTime, nullable=True),
        sa.Column("next_sync_time", UtcDateTime, nullable=True),
        sa.Column("lease_expire_time", UtcDateTime, nullable=True),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_calendar_accounts_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_calendar_accounts"),
        sa.UniqueConstraint("notice_hash", name="uq_calendar_accounts_notice_hash"),
    )
    op.create_index("ix_calendar_accounts_user", "calendar_accounts", ["user_id", "create_time"])
    is_synced = sa.text("next_sync_time IS NOT NULL")
    op.create_index(
        "ix_calendar_accounts_due",
        "calendar_accounts",
        ["next_sync_time"],
        sqlite_where=is_synced,
        postgresql_where=is_synced,
    )
    op.create_table(
        "calendar_events",
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=True),
        sa.Column("calendar_id", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("first_time", UtcDateTime, nullable=False),
        sa.Column("last_time", UtcDateTime, nullable=True),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_calendar_events_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["calendar_accounts.account_id"],
            name="fk_calendar_events_account_id_calendar_accounts",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", name="pk_calendar_events"),
        sa.UniqueConstraint("account_id", "resource", name="uq_calendar_events_account_id_resource"),
    )
    op.create_index("ix_calendar_events_time", "calendar_events", ["user_id", "first_time", "last_time"])


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("calendar_events")
    op.drop_table("calendar_accounts")
