"""Tasks that recur and remind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns and the index of reminders. Tasks that there are neither recur nor remind."""
    op.add_column("tasks", sa.Column("recurrence", sa.Text, nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("wall_time", sa.Text, nullable=True))
    op.add_column("tasks", sa.Column("remind_minutes_before", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("tasks", sa.Column("remind_time", UtcDateTime, nullable=True))
    op.add_column("tasks", sa.Column("next_task_id", sa.Text, nullable=False, server_default=""))
    reminds = sa.text("remind_time IS NOT NULL")
    op.create_index(
        "ix_tasks_remind", "tasks", ["remind_time", "user_id"], sqlite_where=reminds, postgresql_where=reminds
    )
    op.add_column("events", sa.Column("remind_time", UtcDateTime, nullable=True))


def downgrade() -> None:
    """Takes them away again."""
    with op.batch_alter_table("events") as events:
        events.drop_column("remind_time")
    op.drop_index("ix_tasks_remind", "tasks")
    with op.batch_alter_table("tasks") as tasks:
        for column in ("next_task_id", "remind_time", "remind_minutes_before", "wall_time", "recurrence"):
            tasks.drop_column(column)
