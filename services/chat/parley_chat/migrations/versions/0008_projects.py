"""Projects, what belongs to them, and titles that models make."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table and the columns. What there is belongs to no project, and sessions that have a title keep it."""
    op.create_table(
        "projects",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("instructions", sa.Text, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_projects_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", name="pk_projects"),
    )
    op.create_index("ix_projects_newest", "projects", ["user_id", "update_time", "project_id"])
    for table in ("sessions", "turns", "usage_records"):
        op.add_column(table, sa.Column("project_id", sa.Text, nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("title_was_asked", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE sessions SET title_was_asked = true WHERE title <> ''")
    in_project = sa.text("project_id <> ''")
    op.create_index(
        "ix_sessions_project",
        "sessions",
        ["user_id", "project_id", "update_time", "session_id"],
        sqlite_where=in_project,
        postgresql_where=in_project,
    )
    has_project = sa.text("project <> ''")
    op.create_index(
        "ix_tasks_project",
        "tasks",
        ["user_id", "project", "state"],
        sqlite_where=has_project,
        postgresql_where=has_project,
    )


def downgrade() -> None:
    """Takes them away again."""
    op.drop_index("ix_tasks_project", "tasks")
    op.drop_index("ix_sessions_project", "sessions")
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("title_was_asked")
    for table in ("usage_records", "turns", "sessions"):
        with op.batch_alter_table(table) as changed:
            changed.drop_column("project_id")
    op.drop_table("projects")
