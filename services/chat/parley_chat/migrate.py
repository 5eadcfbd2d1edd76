"""Brings chat's database to the newest tables: `python -m parley_chat.migrate`. The service does it by itself at start.

Not the move from one database to another.
"""

from __future__ import annotations

from typing import NoReturn

from parley_shared.serving import run
from parley_shared.settings import Environment, SettingsError
from parley_shared.sql import migrate

from parley_chat.adapters.sql_schema import metadata
from parley_chat.settings import ChatSettings


async def migrate_database(settings: ChatSettings) -> None:
    """Runs the migrations that the database has not seen. Raises SettingsError when its URL is of no use."""
    try:
        await migrate(settings.database_url, "parley_chat", metadata)
    except ValueError as error:
        raise SettingsError("PARLEY_CHAT_DATABASE_URL", f"PARLEY_CHAT_DATABASE_URL: {error}.") from error
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        words = "PARLEY_CHAT_DATABASE_URL names PostgreSQL, whose driver is not installed: pip install 'parley-chat[postgres]'."
        raise SettingsError("PARLEY_CHAT_DATABASE_URL", words) from error


def main() -> NoReturn:
    """Migrates the database that the environment names."""

    async def work() -> None:
        await migrate_database(ChatSettings.read(Environment()))

    run(work)


if __name__ == "__main__":
    main()
