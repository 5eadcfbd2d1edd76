"""The migrations of retrieval's database: they lead to the tables that the adapter writes to, on both databases."""

from __future__ import annotations

import asyncio

from parley_retrieval.adapters.sql_schema import metadata
from parley_shared.sql import Database, migrate, missing_migrations
from parley_testing.migrations import migrate_in_use
from sqlalchemy import Connection, inspect


async def test_the_migrations_make_exactly_the_tables_of_the_schema(retrieval_database_url: str) -> None:
    await migrate(retrieval_database_url, "parley_retrieval", metadata)
    assert await missing_migrations(retrieval_database_url, "parley_retrieval", metadata) == []


async def test_a_chunk_goes_with_its_document(retrieval_database: Database) -> None:
    def deletion_rules(connection: Connection) -> list[str | None]:
        return [key["options"].get("ondelete") for key in inspect(connection).get_foreign_keys("chunks")]

    async with retrieval_database.read() as connection:
        assert await connection.run_sync(deletion_rules) == ["CASCADE"]


async def test_migrating_again_and_migrating_at_once_change_nothing(retrieval_database_url: str) -> None:
    await asyncio.gather(*(migrate(retrieval_database_url, "parley_retrieval", metadata) for _ in range(3)))
    await migrate(retrieval_database_url, "parley_retrieval", metadata)
    assert await missing_migrations(retrieval_database_url, "parley_retrieval", metadata) == []


async def test_every_migration_keeps_the_rows_of_a_database_in_use(retrieval_database_url: str) -> None:
    assert await migrate_in_use(retrieval_database_url, "parley_retrieval", metadata) == set(metadata.tables)
    assert await missing_migrations(retrieval_database_url, "parley_retrieval", metadata) == []
