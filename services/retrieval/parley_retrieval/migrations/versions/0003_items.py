"""Items, which other services own, and their chunks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "items",
        sa.Column("item_key", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("item_type", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("item_key", name=op.f("pk_items")),
        sa.UniqueConstraint("owner_id", "item_type", "item_id", name=op.f("uq_items_owner_id_item_type_item_id")),
    )
    op.create_table(
        "item_chunks",
        sa.Column("chunk_id", sa.Uuid, nullable=False),
        sa.Column("item_key", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("start_offset", sa.Integer, nullable=False),
        sa.Column("end_offset", sa.Integer, nullable=False),
        sa.Column("heading", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_item_chunks")),
        sa.ForeignKeyConstraint(
            ["item_key"], ["items.item_key"], name=op.f("fk_item_chunks_item_key_items"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("item_key", "number", name=op.f("uq_item_chunks_item_key_number")),
    )


def downgrade() -> None:
    """Drops the tables."""
    op.drop_table("item_chunks")
    op.drop_table("items")
