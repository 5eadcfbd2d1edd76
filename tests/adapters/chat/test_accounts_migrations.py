"""The migrations of chat's database: they lead to the tables that the adapters write to, on both databases."""

from __future__ import annotations

import asyncio

from parley_chat.adapters.sql_schema import metadata
from parley_shared.sql import Database, migrate, missing_migrations
from parley_testing.migrations import migrate_in_use
from sqlalchemy import Connection, inspect


async def test_the_migrations_make_exactly_the_tables_of_the_schema(chat_database_url: str) -> None:
    await migrate(chat_database_url, "parley_chat", metadata)
    assert await missing_migrations(chat_database_url, "parley_chat", metadata) == []


async def test_the_migrations_make_every_key_and_index_of_the_schema_under_its_name(chat_database: Database) -> None:
    # Alembic's comparison does not look at primary keys and deletion rules.
    def found(connection: Connection) -> set[tuple[str, str, str]]:
        inspector = inspect(connection)
        facts = set()
        for table in metadata.tables:
            facts.add((table, "pk", str(inspector.get_pk_constraint(table)["name"])))
            for key in inspector.get_foreign_keys(table):
                facts.add((table, "fk", f"{key['name']} {key['options'].get('ondelete')}"))
        return facts

    expected = set()
    for name, table in metadata.tables.items():
        expected.add((name, "pk", str(table.primary_key.name)))
        expected |= {(name, "fk", f"{key.name} {key.ondelete}") for key in table.foreign_key_constraints}
    async with chat_database.read() as connection:
        assert await connection.run_sync(found) == expected


async def test_migrating_again_and_migrating_at_once_change_nothing(chat_database_url: str) -> None:
    await asyncio.gather(*(migrate(chat_database_url, "parley_chat", metadata) for _ in range(3)))
    await migrate(chat_database_url, "parley_chat", metadata)
    assert await missing_migrations(chat_database_url, "parley_chat", metadata) == []


async def test_every_migration_keeps_the_rows_of_a_database_in_use(chat_database_url: str) -> None:
    assert await migrate_in_use(chat_database_url, "parley_chat", metadata) == set(metadata.tables)
    assert await missing_migrations(chat_database_url, "parley_chat", metadata) == []
