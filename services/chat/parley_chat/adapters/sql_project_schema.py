"""The table of projects. What belongs to a project names it in a column of its own, without a foreign key: whoever deletes a project tells
what leaves it, one event for each.
"""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text

from parley_chat.adapters.sql_metadata import metadata

projects = Table(
    "projects",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)
Index("ix_projects_newest", projects.c.user_id, projects.c.update_time, projects.c.project_id)
