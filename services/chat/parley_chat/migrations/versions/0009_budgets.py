"""Budgets, and what is held of them for texts that are being written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "budgets",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("budget_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("limit_cost_usd_micros", sa.BigInteger, nullable=True),
        sa.Column("limit_tokens", sa.BigInteger, nullable=True),
        sa.Column("create_time", UtcDateTime, nullable=True),
        sa.Column("update_time", UtcDateTime, nullable=True),
        sa.Column("window_start_time", UtcDateTime, nullable=True),
        sa.Column("window_end_time", UtcDateTime, nullable=True),
        sa.Column("spent_cost_usd_micros", sa.BigInteger, nullable=False),
        sa.Column("spent_tokens", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_budgets_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "budget_id", name="pk_budgets"),
    )
    op.create_table(
        "budget_holds",
        sa.Column("holder_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("cost_usd_micros", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("expire_time", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_budget_holds_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("holder_id", name="pk_budget_holds"),
    )
    op.create_index("ix_budget_holds_user", "budget_holds", ["user_id"])


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("budget_holds")
    op.drop_table("budgets")
