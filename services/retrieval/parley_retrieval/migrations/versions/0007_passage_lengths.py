"""How long the passages of each owner are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table. It fills itself at the next start."""
    op.create_table(
        "passage_lengths",
        sa.Column("owner_id", sa.Text, primary_key=True),
        sa.Column("passages", sa.BigInteger, nullable=False),
        sa.Column("words", sa.BigInteger, nullable=False),
        sa.Column("expected", sa.Double, nullable=False),
        sa.Column("weighing", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("passage_lengths")
