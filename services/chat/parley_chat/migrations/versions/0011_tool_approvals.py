"""What users are asked about calls of tools, and calls that were begun whose effect nobody can take back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables. Nobody was asked about anything before."""
    op.create_table(
        "tool_approvals",
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("tool_call_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("effect", sa.Text, nullable=False),
        sa.Column("arguments_json", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("expire_time", UtcDateTime, nullable=False),
        sa.Column("decide_time", UtcDateTime, nullable=True),
        sa.Column("edited_arguments_json", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.turn_id"], name="fk_tool_approvals_turn_id_turns", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_id", "tool_call_id", name="pk_tool_approvals"),
    )
    is_pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_tool_approvals_pending",
        "tool_approvals",
        ["user_id", "create_time", "tool_call_id"],
        sqlite_where=is_pending,
        postgresql_where=is_pending,
    )
    op.create_table(
        "tool_starts",
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("tool_call_id", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.turn_id"], name="fk_tool_starts_turn_id_turns", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_id", "tool_call_id", name="pk_tool_starts"),
    )


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("tool_starts")
    op.drop_table("tool_approvals")
