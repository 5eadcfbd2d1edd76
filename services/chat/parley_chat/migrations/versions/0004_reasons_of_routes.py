"""Why the route of an answer was taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column. Of answers that there are, nobody knows any more."""
    op.add_column("messages", sa.Column("route_reason", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Takes it away again."""
    with op.batch_alter_table("messages") as messages:
        messages.drop_column("route_reason")
