"""Who writes a turn, who asked to stop it, and since when it waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = ("queue_when_unavailable", "owner_id", "fence", "stop_request_time", "queue_time")


def upgrade() -> None:
    """Adds the columns and the table. A turn that runs meanwhile belongs to nobody, and is taken over."""
    op.create_table(
        "replicas",
        sa.Column("replica_id", sa.Text, nullable=False),
        sa.Column("has_shared_log", sa.Boolean, nullable=False),
        sa.Column("lease_expire_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("replica_id", name="pk_replicas"),
    )
    op.add_column("turns", sa.Column("queue_when_unavailable", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("turns", sa.Column("owner_id", sa.Text, nullable=False, server_default=""))
    op.add_column("turns", sa.Column("fence", sa.Integer, nullable=False, server_default="1"))
    op.add_column("turns", sa.Column("stop_request_time", UtcDateTime, nullable=True))
    op.add_column("turns", sa.Column("queue_time", UtcDateTime, nullable=True))
    op.drop_index("ix_turns_state", table_name="turns")
    running = sa.text("state = 'running'")
    op.create_index("ix_turns_running", "turns", ["user_id"], sqlite_where=running, postgresql_where=running)


def downgrade() -> None:
    """Takes them away again."""
    op.drop_index("ix_turns_running", table_name="turns")
    op.create_index("ix_turns_state", "turns", ["state", "create_time"], unique=False)
    with op.batch_alter_table("turns") as turns:
        for column in _COLUMNS:
            turns.drop_column(column)
    op.drop_table("replicas")
