"""Retrieval's database as its SQL adapter meets it: migrated and empty, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_retrieval.adapters.sql_schema import metadata
from parley_shared.sql import Database, migrate
from parley_testing.postgres import PostgresServer, postgres

__all__ = ["postgres"]  # The fixture of the server; imported so that pytest finds it.


@pytest.fixture(params=["sqlite", "postgresql"])
def retrieval_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'retrieval.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database_url()


@pytest.fixture
async def retrieval_database(retrieval_database_url: str) -> AsyncIterator[Database]:
    """A migrated database without a row in it."""
    await migrate(retrieval_database_url, "parley_retrieval", metadata)
    database = Database.open(retrieval_database_url)
    yield database
    await database.close()
