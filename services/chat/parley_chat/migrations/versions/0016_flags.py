"""Feature flags, and the revision of all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables, and the one row of the counter."""
    op.create_table(
        "flags",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("rollout_basis_points", sa.Integer, nullable=False),
        sa.Column("users_on", sa.JSON, nullable=False),
        sa.Column("users_off", sa.JSON, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_flags"),
    )
    counter = op.create_table(
        "flag_counter",
        sa.Column("counter_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("counter_id", name="pk_flag_counter"),
    )
    op.bulk_insert(counter, [{"counter_id": 1, "revision": 0}])


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("flag_counter")
    op.drop_table("flags")
