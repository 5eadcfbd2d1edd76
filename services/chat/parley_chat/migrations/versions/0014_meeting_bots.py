"""Bots that prepare for meetings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "meeting_bots",
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("every_occurrence", sa.Boolean, nullable=False),
        sa.Column("minutes_before", sa.Integer, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("instructions", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("next_meeting_id", sa.Text, nullable=False),
        sa.Column("next_brief_time", UtcDateTime, nullable=True),
        sa.Column("brief", sa.JSON, nullable=True),
        sa.Column("briefed", sa.JSON, nullable=False),
        sa.Column("wake_time", UtcDateTime, nullable=True),
        sa.Column("known_sequence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lease_id", sa.Text, nullable=False, server_default=""),
        sa.Column("lease_expire_time", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_meeting_bots_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bot_id", name="pk_meeting_bots"),
    )
    op.create_index("ix_meeting_bots_user", "meeting_bots", ["user_id", "event_id"])
    op.create_index("ix_meeting_bots_wake", "meeting_bots", ["wake_time"])


def downgrade() -> None:
    """Takes it away again."""
    op.drop_table("meeting_bots")
