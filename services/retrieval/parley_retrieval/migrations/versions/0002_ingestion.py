"""Files, the jobs that make documents of them, and what documents and chunks know of their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from parley_shared.sql import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DOCUMENT_COLUMNS = ("version", "filename", "page_count", "labels", "file_sha256", "page_starts")


def upgrade() -> None:
    """Makes the tables and the columns."""
    # SQLite walks through a long text to reach the columns behind it: there the text stays the last.
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    order: list[tuple[str, ...]] = [("update_time", *_DOCUMENT_COLUMNS, "text")] if on_sqlite else []
    with op.batch_alter_table(
        "documents", recreate="always" if on_sqlite else "never", partial_reordering=order
    ) as documents:
        documents.add_column(sa.Column("version", sa.Integer, nullable=False, server_default="1"))
        documents.add_column(sa.Column("filename", sa.Text, nullable=False, server_default=""))
        documents.add_column(sa.Column("page_count", sa.Integer, nullable=False, server_default="0"))
        documents.add_column(sa.Column("labels", sa.Text, nullable=False, server_default="{}"))
        documents.add_column(sa.Column("file_sha256", sa.Text, nullable=False, server_default=""))
        documents.add_column(sa.Column("page_starts", sa.Text, nullable=False, server_default="[]"))
    with op.batch_alter_table("chunks") as chunks:
        chunks.add_column(sa.Column("page_number", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("source_uri", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("wanted_media_type", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("content_sha256", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("stages", sa.Text, nullable=False),
        sa.Column("attempt_count", sa.Integer, nullable=False),
        sa.Column("failed_attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_time", UtcDateTime, nullable=True),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("lease_expire_time", UtcDateTime, nullable=True),
        sa.Column("cancel_request_time", UtcDateTime, nullable=True),
        sa.Column("create_time", UtcDateTime, nullable=False),
        sa.Column("update_time", UtcDateTime, nullable=False),
        sa.Column("end_time", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_newest", "jobs", ["owner_id", "create_time", "job_id"])
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_index("ix_jobs_document", "jobs", ["document_id"])
    op.create_table(
        "files",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("content_sha256", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "content_sha256", name=op.f("pk_files")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name=op.f("fk_files_job_id_jobs")),
        sa.UniqueConstraint("job_id", name=op.f("uq_files_job_id")),
    )
    op.create_table(
        "job_owners",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("last_turn", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_job_owners")),
    )


def downgrade() -> None:
    """Drops the tables and the columns. The files stay in their folder."""
    op.drop_table("job_owners")
    op.drop_table("files")
    op.drop_table("jobs")
    with op.batch_alter_table("chunks") as chunks:
        chunks.drop_column("page_number")
    with op.batch_alter_table("documents") as documents:
        for name in reversed(_DOCUMENT_COLUMNS):
            documents.drop_column(name)
