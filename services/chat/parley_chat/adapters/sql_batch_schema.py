"""The tables of batches: each has its lines, and sums of them that are kept up with every change of a line."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from parley_chat.adapters.sql_metadata import metadata

batches = Table(
    "batches",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("client_batch_id", Text, nullable=False),  # Empty when it has none.
    Column("digest", Text, nullable=False),  # Of what was sent: tells a repeated upload from another.
    Column("state", Text, nullable=False),  # receiving, and the states of the domain
    Column("create_time", UtcDateTime, nullable=False),
    Column("start_time", UtcDateTime, nullable=True),
    Column("end_time", UtcDateTime, nullable=True),
    Column("touch_time", UtcDateTime, nullable=False),  # When something last came of an upload.
    Column("claim_time", UtcDateTime, nullable=True),  # When a line of it was last taken: who waits longest is next.
    Column("rest_until_time", UtcDateTime, nullable=True),  # No line is taken before: a provider turned one away.
    Column("total_count", Integer, nullable=False),
    Column("pending_count", Integer, nullable=False),
    Column("running_count", Integer, nullable=False),
    Column("completed_count", Integer, nullable=False),
    Column("failed_count", Integer, nullable=False),
    Column("cancelled_count", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_usd_micros", BigInteger, nullable=False),
    Column("unpriced_count", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("pause_reason", Text, nullable=False),
    Column("pause_message", Text, nullable=False),
)
Index("ix_batches_newest", batches.c.user_id, batches.c.create_time, batches.c.batch_id)
Index("ix_batches_client_batch_id", batches.c.user_id, batches.c.client_batch_id)
Index("ix_batches_end", batches.c.end_time)
Index("ix_batches_state", batches.c.state, batches.c.touch_time)

batch_lines = Table(
    "batch_lines",
    metadata,
    Column("batch_id", Text, ForeignKey("batches.batch_id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # In the input, from 1.
    Column("name", Text, nullable=False),
    Column("form", Text, nullable=False),  # parley, openai
    Column("request", Text, nullable=False),  # JSON, in its form.
    Column("state", Text, nullable=False),  # pending, running, completed, failed, cancelled
    Column("attempt_count", Integer, nullable=False),
    Column("next_attempt_time", UtcDateTime, nullable=True),  # NULL when it need not wait.
    Column("worker_id", Text, nullable=False),  # Empty when nobody has ever written it.
    Column("fence", Integer, nullable=False),  # One more with each owner.
    Column("lease_expire_time", UtcDateTime, nullable=True),
    Column("result", Text, nullable=False),  # JSON, in its form; empty unless it is completed.
    Column("failure", Text, nullable=False),  # JSON; empty unless it has failed.
)
Index("ix_batch_lines_state", batch_lines.c.batch_id, batch_lines.c.state, batch_lines.c.number)
