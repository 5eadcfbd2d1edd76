"""Webhooks, and the last attempts to deliver to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("event_types", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("disable_reason", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("sealed_secret", sa.Text, nullable=False),
        sa.Column("sealed_previous_secret", sa.Text, nullable=False),
        sa.Column("previous_secret_expire_time", UtcDateTime, nullable=True),
        sa.Column("delivered_sequence", sa.BigInteger, nullable=False),
        sa.Column("failed_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_time", UtcDateTime, nullable=True),
        sa.Column("lease_id", sa.Text, nullable=False, server_default=""),
        sa.Column("lease_expire_time", UtcDateTime, nullable=True),
        sa.Column("last_turn_time", UtcDateTime, nullable=True),
        sa.Column("delivery_counter", sa.BigInteger, nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_webhooks_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("webhook_id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_user", "webhooks", ["user_id", "create_time"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status_code", sa.Integer, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.webhook_id"],
            name="fk_webhook_deliveries_webhook_id_webhooks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "number", name="pk_webhook_deliveries"),
    )


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
