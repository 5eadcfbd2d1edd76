"""Catalogs, and what people did with their items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "catalogs",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("item_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_catalogs")),
    )
    op.create_table(
        "catalog_items",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("encoding", sa.Text, nullable=False),
        sa.Column("popularity", sa.Double, nullable=False),
        sa.Column("person_count", sa.Integer, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "item_id", name=op.f("pk_catalog_items")),
    )
    op.create_index("ix_catalog_items_version", "catalog_items", ["owner_id", "version"])
    op.create_index("ix_catalog_items_popularity", "catalog_items", ["owner_id", "popularity"])
    op.create_table(
        "catalog_labels",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "item_id", "label", name=op.f("pk_catalog_labels")),
        sa.ForeignKeyConstraint(
            ["owner_id", "item_id"],
            ["catalog_items.owner_id", "catalog_items.item_id"],
            name=op.f("fk_catalog_labels_owner_id_catalog_items"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_catalog_labels_label", "catalog_labels", ["owner_id", "label"])
    op.create_table(
        "interactions",
        sa.Column("record_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("pull", sa.Double, nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("interaction_id", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_interactions")),
        sa.ForeignKeyConstraint(
            ["owner_id", "item_id"],
            ["catalog_items.owner_id", "catalog_items.item_id"],
            name=op.f("fk_interactions_owner_id_catalog_items"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("owner_id", "interaction_id", name=op.f("uq_interactions_owner_id_interaction_id")),
    )
    op.create_index("ix_interactions_person", "interactions", ["owner_id", "person_id", "time"])
    op.create_index("ix_interactions_item", "interactions", ["owner_id", "item_id", "time"])


def downgrade() -> None:
    """Drops the tables. The catalogs go with them."""
    op.drop_table("interactions")
    op.drop_table("catalog_labels")
    op.drop_table("catalog_items")
    op.drop_table("catalogs")
