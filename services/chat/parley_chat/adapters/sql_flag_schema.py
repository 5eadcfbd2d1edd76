"""The tables of feature flags."""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, Table, Text

from parley_chat.adapters.sql_metadata import metadata

flags = Table(
    "flags",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("rollout_basis_points", Integer, nullable=False),
    Column("users_on", JSON, nullable=False),  # Ids, a list.
    Column("users_off", JSON, nullable=False),
    Column("value", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

# One row, which the migration makes: the revision of all flags. Written first in a transaction that changes flags, so that writers
# queue for it.
flag_counter = Table(
    "flag_counter",
    metadata,
    Column("counter_id", Integer, primary_key=True, autoincrement=False),  # 1
    Column("revision", BigInteger, nullable=False),
)
