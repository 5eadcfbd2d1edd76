"""What models took, text by text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table. What was before is not in it."""
    op.create_table(
        "usage_records",
        sa.Column("usage_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("end_ms", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("cost_usd_micros", sa.BigInteger, nullable=True),
        sa.Column("time_to_first_token_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_usage_records_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("usage_id", name="pk_usage_records"),
    )
    op.create_index("ix_usage_records_time", "usage_records", ["user_id", "end_ms"])


def downgrade() -> None:
    """Takes it away again."""
    op.drop_table("usage_records")
