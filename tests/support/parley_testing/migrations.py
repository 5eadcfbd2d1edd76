"""Takes a database that is in use through the migrations of a service, one after the other."""

from __future__ import annotations

import asyncio
import uuid
import warnings
from datetime import UTC, datetime
from typing import Any

from alembic import command
from alembic.script import ScriptDirectory
from parley_shared import sql
from sqlalchemy import Connection, MetaData, Table, exc, func, insert, select

_VALUES: dict[type, Any] = {
    bool: True,
    int: 1,
    float: 1.0,
    bytes: b"1",
    dict: {},
    datetime: datetime(2026, 1, 31, 12, tzinfo=UTC),
    uuid.UUID: uuid.UUID(int=1),
}

Row = dict[str, Any]


async def migrate_in_use(url: str, package: str, metadata: MetaData) -> set[str]:
    """Applies each migration to an empty database by itself, and puts a row into every table that has none before the next one.

    Gives the names of the tables that have rows in the end. AssertionError when a migration empties one.
    """
    return await asyncio.to_thread(lambda: asyncio.run(_migrate_in_use(url, package, metadata)))


async def _migrate_in_use(url: str, package: str, metadata: MetaData) -> set[str]:
    async with sql._migrating(url) as connection:
        scripts = await connection.run_sync(
            lambda bound: ScriptDirectory.from_config(sql._config(bound, package, metadata))
        )
    rows: dict[str, Row] = {}
    for script in reversed(list(scripts.walk_revisions())):
        # A transaction of its own for each, as between two releases: on SQLite every reference is checked at its end.
        async with sql._migrating(url) as connection:
            await connection.run_sync(_upgrade, package, metadata, script.revision)
            await connection.run_sync(_fill, package, rows, script.revision)
    return set(rows)


def _upgrade(connection: Connection, package: str, metadata: MetaData, revision: str) -> None:
    with sql._one_migration:
        command.upgrade(sql._config(connection, package, metadata), revision)


def _fill(connection: Connection, package: str, rows: dict[str, Row], revision: str) -> None:
    found = MetaData()
    with warnings.catch_warnings():
        # It does not read indexes of expressions, which are of no use here.
        warnings.simplefilter("ignore", exc.SAWarning)
        found.reflect(connection)
    for table in found.sorted_tables:
        if table.name == f"{package}_migrations":
            continue
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        assert count or table.name not in rows, f"{revision} lost the rows of {table.name}"
        if table.name not in rows:
            rows[table.name] = _row(table, rows)
            if count == 0:
                connection.execute(insert(table).values(rows[table.name]))


def _row(table: Table, rows: dict[str, Row]) -> Row:
    """A value of the right type in every column; a reference to a row of the table itself is to none."""
    row: Row = {}
    for column in table.columns:
        if column.computed is None:
            row[column.name] = _VALUES.get(column.type.python_type, f"{table.name}.{column.name}")
    for key in table.foreign_keys:
        parent, child = key.column.table, key.parent.name
        row[child] = None if parent is table else rows[parent.name][key.column.name]
    return row
