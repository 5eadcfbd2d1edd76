"""The headings that a file has beside its text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column."""
    op.add_column("documents", sa.Column("outline", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drops the column."""
    op.drop_column("documents", "outline")
