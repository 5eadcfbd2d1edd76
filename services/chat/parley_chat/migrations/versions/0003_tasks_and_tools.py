"""Tasks, and the tools that models use in answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables and the columns. A turn that runs meanwhile is offered no tools."""
    op.add_column("messages", sa.Column("tool_uses", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("scopes", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("time_zone", sa.Text, nullable=False, server_default="UTC"))
    op.create_table(
        "tool_runs",
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("tool_call_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("result_json", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.turn_id"], name="fk_tool_runs_turn_id_turns", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("turn_id", "tool_call_id", name="pk_tool_runs"),
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("due_time", UtcDateTime, nullable=True),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("complete_time", UtcDateTime, nullable=True),
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_tasks_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_due", "tasks", ["user_id", "state", "due_time", "task_id"])
    op.create_index("ix_tasks_newest", "tasks", ["user_id", "create_time", "task_id"])


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("tasks")
    op.drop_table("tool_runs")
    with op.batch_alter_table("turns") as turns:
        turns.drop_column("time_zone")
        turns.drop_column("scopes")
    with op.batch_alter_table("messages") as messages:
        messages.drop_column("tool_uses")
