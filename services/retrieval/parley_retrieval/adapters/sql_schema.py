"""Every table of retrieval's database, in one place. Not the statements on them, and not the migrations that make them.

The migrations in `parley_retrieval/migrations` must lead to exactly these tables; a test compares the two.
"""

from __future__ import annotations

from parley_shared.sql import UtcDateTime, new_metadata
from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, Uuid

metadata = new_metadata()

documents = Table(
    "documents",
    metadata,
    Column("document_id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),  # A user of chat's database, or `shared`.
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("likeness", Text, nullable=False),  # What no two documents of an owner have in common: a digest.
    Column("size_bytes", Integer, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    # Last: SQLite walks through a long text to reach the columns behind it, and lists do not read it.
    Column("text", Text, nullable=False),
    UniqueConstraint("owner_id", "likeness"),
)
Index("ix_documents_newest", documents.c.owner_id, documents.c.update_time, documents.c.document_id)

chunks = Table(
    "chunks",
    metadata,
    Column("chunk_id", Uuid, primary_key=True),
    Column("document_id", Text, ForeignKey("documents.document_id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),  # A copy, so that an answer does not read whole documents.
    UniqueConstraint("document_id", "number"),
)

# Documents for which the index was touched and has not flushed yet. No foreign key: the document may be gone.
index_changes = Table(
    "index_changes",
    metadata,
    Column("change_id", Text, primary_key=True),
    Column("document_id", Text, nullable=False),
)
