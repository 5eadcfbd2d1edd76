"""Every table of retrieval's database, in one place. Not the statements on them, and not the migrations that make them.

The migrations in `parley_retrieval/migrations` must lead to exactly these tables; a test compares the two.
"""

from __future__ import annotations

from parley_shared.sql import UtcDateTime, new_metadata
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

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
    Column("version", Integer, nullable=False, server_default="1"),
    Column("filename", Text, nullable=False, server_default=""),
    Column("page_count", Integer, nullable=False, server_default="0"),
    Column("labels", Text, nullable=False, server_default="{}"),  # JSON: names to values.
    Column("file_sha256", Text, nullable=False, server_default=""),
    Column("page_starts", Text, nullable=False, server_default="[]"),  # JSON: where each page starts in the text.
    # Last: SQLite walks through a long text to reach the columns behind it, and lists do not read it.
    Column("text", Text, nullable=False),
    Column("outline", Text, nullable=False, server_default="[]"),  # JSON: headings beside the text; read with it only.
    UniqueConstraint("owner_id", "likeness"),
)
Index("ix_documents_newest", documents.c.owner_id, documents.c.update_time, documents.c.document_id)

# What a document was before its text changed; the newest version is the document itself.
document_versions = Table(
    "document_versions",
    metadata,
    Column("document_id", Text, ForeignKey("documents.document_id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("title", Text, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("page_starts", Text, nullable=False),  # JSON, as in documents.
    Column("text", Text, nullable=False),
)

chunks = Table(
    "chunks",
    metadata,
    Column("chunk_id", Uuid, primary_key=True),
    Column("document_id", Text, ForeignKey("documents.document_id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("page_number", Integer, nullable=False, server_default="0"),
    Column("text", Text, nullable=False),  # A copy, so that an answer does not read whole documents.
    UniqueConstraint("document_id", "number"),
)

# How long the passages of each owner's documents are, and by what length their points are weighed.
passage_lengths = Table(
    "passage_lengths",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("passages", BigInteger, nullable=False),
    Column("words", BigInteger, nullable=False),
    Column("expected", Double, nullable=False),  # Words.
    Column("weighing", Boolean, nullable=False),  # Whether some points may still be weighed by another length.
)

# What other services own. A deleted item keeps its name and its version, so that a late put does not bring it back.
items = Table(
    "items",
    metadata,
    Column("item_key", Text, primary_key=True),  # What the index calls it: `itm_` and a digest of the next three.
    Column("owner_id", Text, nullable=False),
    Column("item_type", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("owner_id", "item_type", "item_id"),
)

item_chunks = Table(
    "item_chunks",
    metadata,
    Column("chunk_id", Uuid, primary_key=True),
    Column("item_key", Text, ForeignKey("items.item_key", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("item_key", "number"),
)

# Documents for which the index was touched and has not flushed yet. No foreign key: the document may be gone.
index_changes = Table(
    "index_changes",
    metadata,
    Column("change_id", Text, primary_key=True),
    Column("document_id", Text, nullable=False),
)

# The ledger of ingestion: one row a job, for ever. Only who has the lease (worker_id, fence) writes the row of a running one.
jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON: names to values.
    Column("wanted_media_type", Text, nullable=False),  # As its sender said; may be empty.
    Column("media_type", Text, nullable=False),  # As it was found; empty until then.
    Column("size_bytes", BigInteger, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("stages", Text, nullable=False),  # JSON: what was done of each stage, and when.
    Column("attempt_count", Integer, nullable=False),
    Column("failed_attempts", Integer, nullable=False),  # In a row, since it was queued by its user.
    Column("next_attempt_time", UtcDateTime, nullable=True),
    Column("failure", Text, nullable=False),  # JSON; empty when it never failed.
    Column("worker_id", Text, nullable=False),
    Column("fence", Integer, nullable=False),  # One more with each lease.
    Column("lease_expire_time", UtcDateTime, nullable=True),
    Column("cancel_request_time", UtcDateTime, nullable=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime, nullable=True),
)
Index("ix_jobs_newest", jobs.c.owner_id, jobs.c.create_time, jobs.c.job_id)
Index("ix_jobs_state", jobs.c.state)
Index("ix_jobs_document", jobs.c.document_id)

# The files that are kept, each once for its owner. A job without a row here has lost its file and cannot begin again.
files = Table(
    "files",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("content_sha256", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.job_id"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    UniqueConstraint("job_id"),
)

# Whose turn it was when: jobs are taken from one user after the other. The row is also what two calls of one user wait for.
job_owners = Table(
    "job_owners",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("last_turn", BigInteger, nullable=False),  # Larger is later; 0 when there was none.
)

# What is recommended, by owner: how large the catalog is, and a number that goes up with each change. Also what two calls wait for.
catalogs = Table(
    "catalogs",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("item_count", Integer, nullable=False),
)

catalog_items = Table(
    "catalog_items",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),  # The catalog's, when it was written: no other item has it.
    Column("title", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON: names to values.
    Column("terms", Text, nullable=False),  # JSON: the terms, and their weights.
    Column("encoding", Text, nullable=False),  # What the weights depend on besides the words.
    Column("popularity", Double, nullable=False),  # The sum of `pull` of its interactions.
    Column("person_count", Integer, nullable=False),  # How many people have one with a weight above 0.
    Column("update_time", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),  # Last, as the text of a document.
)
Index("ix_catalog_items_version", catalog_items.c.owner_id, catalog_items.c.version)
Index("ix_catalog_items_popularity", catalog_items.c.owner_id, catalog_items.c.popularity)

# The labels once more, by what finds them.
catalog_labels = Table(
    "catalog_labels",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("label", Text, primary_key=True),  # A digest of name and value.
    ForeignKeyConstraint(
        ["owner_id", "item_id"], ["catalog_items.owner_id", "catalog_items.item_id"], ondelete="CASCADE"
    ),
)
Index("ix_catalog_labels_label", catalog_labels.c.owner_id, catalog_labels.c.label)

# What people did with items of catalogs. It goes with them.
interactions = Table(
    "interactions",
    metadata,
    Column("record_id", Uuid, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("weight", Double, nullable=False),
    Column("pull", Double, nullable=False),  # What it adds to the popularity of the item.
    Column("time", UtcDateTime, nullable=False),
    Column("interaction_id", Text, nullable=True),  # The product's own; null for none.
    ForeignKeyConstraint(
        ["owner_id", "item_id"], ["catalog_items.owner_id", "catalog_items.item_id"], ondelete="CASCADE"
    ),
    UniqueConstraint("owner_id", "interaction_id"),
)
Index("ix_interactions_person", interactions.c.owner_id, interactions.c.person_id, interactions.c.time)
Index("ix_interactions_item", interactions.c.owner_id, interactions.c.item_id, interactions.c.time)
