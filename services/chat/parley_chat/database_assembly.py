"""Brings chat's database to the newest tables, with the settings of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from parley_shared.settings import SettingsError
from parley_shared.sql import migrate, migrate_in_own_process

from parley_chat.adapters.sql_schema import metadata
from parley_chat.settings import ChatSettings

_VARIABLE = "PARLEY_CHAT_DATABASE_URL"
_PACKAGE = "parley_chat"


async def migrate_database(settings: ChatSettings) -> None:
    """Runs the migrations that the database has not seen. Raises SettingsError when its URL is of no use."""
    with _errors_of_the_url():
        await migrate(settings.database_url, _PACKAGE, metadata)


async def migrate_database_in_own_process(settings: ChatSettings) -> None:
    """The same by `python -m parley_chat.migrate`, which ends this process, too, when it fails."""
    with _errors_of_the_url():
        await migrate_in_own_process(settings.database_url, _PACKAGE)


@contextmanager
def _errors_of_the_url() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise SettingsError(_VARIABLE, f"{_VARIABLE}: {error}.") from error
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        words = f"{_VARIABLE} names PostgreSQL, whose driver is not installed: pip install 'parley-chat[postgres]'."
        raise SettingsError(_VARIABLE, words) from error
