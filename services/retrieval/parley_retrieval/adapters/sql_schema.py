"""Every table of retrieval's database, in one place. Not the statements on them, and not the migrations that make them.

The migrations in `parley_retrieval/migrations` must lead to exactly these tables; a test compares the two.
"""

from __future__ import annotations

from parley_shared.sql import UtcDateTime, new_metadata
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, Uuid

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
    Column("page_number", Integer, nullable=False, server_default="0"),
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
