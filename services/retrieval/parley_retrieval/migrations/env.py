"""What Alembic runs first."""

from __future__ import annotations

from parley_shared.sql import run_migrations

run_migrations()
