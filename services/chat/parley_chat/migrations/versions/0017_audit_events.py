"""The audit trail, which was in the log alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "audit_events",
        sa.Column("audit_event_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("deed", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("last_time", UtcDateTime, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("fold_key", sa.Text, nullable=True),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_user_id", sa.Text, nullable=False),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("actor_token_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("audit_event_id", name="pk_audit_events"),
        sa.UniqueConstraint("fold_key", name="uq_audit_events_fold_key"),
    )
    op.create_index("ix_audit_events_user", "audit_events", ["user_id", "audit_event_id"])
    op.create_index("ix_audit_events_actor", "audit_events", ["actor_user_id", "audit_event_id"])
    op.create_index("ix_audit_events_last_time", "audit_events", ["last_time"])


def downgrade() -> None:
    """Takes it away again."""
    op.drop_table("audit_events")
