"""The log of what changed in what users own, and how far the search index knows it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables, and the counter of each user. What changed before is not told."""
    op.add_column("users", sa.Column("event_counter", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "events",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("resource_type", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("snapshot", sa.JSON, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_events_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "sequence", name="pk_events"),
    )
    op.create_table(
        "index_cursors",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_index_cursors_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_index_cursors"),
    )


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("index_cursors")
    op.drop_table("events")
    with op.batch_alter_table("users") as users:
        users.drop_column("event_counter")
