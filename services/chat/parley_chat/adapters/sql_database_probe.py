"""Tries the SQL database."""

from __future__ import annotations

from parley_shared.sql import Database
from sqlalchemy import false, update

from parley_chat.adapters.sql_schema import users


class SqlDatabaseProbe:
    """The port `DatabaseProbe`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self) -> None:
        """See the port: takes its turn among the writers, and changes no row."""
        async with self._database.write() as connection:
            await connection.execute(update(users).where(false()).values(event_counter=users.c.event_counter))
