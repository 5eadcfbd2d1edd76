"""Roles of users, users of identity providers, and sign-ins that failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns and the table."""
    op.add_column("users", sa.Column("role", sa.Text, nullable=False, server_default="user"))
    op.add_column("users", sa.Column("disable_time", UtcDateTime, nullable=True))
    op.add_column("users", sa.Column("issuer", sa.Text, nullable=True))
    op.add_column("users", sa.Column("subject", sa.Text, nullable=True))
    op.add_column("users", sa.Column("told_email", sa.Text, nullable=True))
    op.create_index("ix_users_foreign", "users", ["issuer", "subject"], unique=True)
    op.create_index("ix_users_newest", "users", ["create_time", "user_id"])
    op.create_table(
        "sign_in_failures",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("fail_time", UtcDateTime, nullable=False),
        sa.Column("retry_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_sign_in_failures"),
    )
    op.create_index("ix_sign_in_failures_fail_time", "sign_in_failures", ["fail_time"])


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("sign_in_failures")
    op.drop_index("ix_users_newest", "users")
    op.drop_index("ix_users_foreign", "users")
    for column in ("told_email", "subject", "issuer", "disable_time", "role"):
        op.drop_column("users", column)
