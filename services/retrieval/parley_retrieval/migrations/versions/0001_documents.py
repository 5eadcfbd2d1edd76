"""Documents, their chunks, and the journal of the index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "documents",
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("source_uri", sa.Text, nullable=False),
        sa.Column("content_sha256", sa.Text, nullable=False),
        sa.Column("likeness", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("chunk_count", sa.Integer, nullable=False),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_documents")),
        sa.UniqueConstraint("owner_id", "likeness", name=op.f("uq_documents_owner_id_likeness")),
    )
    op.create_index("ix_documents_newest", "documents", ["owner_id", "update_time", "document_id"])
    op.create_table(
        "chunks",
        sa.Column("chunk_id", sa.Uuid, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("start_offset", sa.Integer, nullable=False),
        sa.Column("end_offset", sa.Integer, nullable=False),
        sa.Column("heading", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_chunks")),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.document_id"],
            name=op.f("fk_chunks_document_id_documents"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("document_id", "number", name=op.f("uq_chunks_document_id_number")),
    )
    op.create_table(
        "index_changes",
        sa.Column("change_id", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_index_changes")),
    )


def downgrade() -> None:
    """Drops the tables. The texts go with them."""
    op.drop_table("index_changes")
    op.drop_table("chunks")
    op.drop_table("documents")
