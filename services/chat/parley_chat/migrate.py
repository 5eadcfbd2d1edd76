"""Brings chat's database to the newest tables: `python -m parley_chat.migrate`. The service does it by itself at start.

Not the move from one database to another.
"""

from __future__ import annotations

from typing import NoReturn

from parley_shared.serving import run
from parley_shared.settings import Environment

from parley_chat.database_assembly import migrate_database
from parley_chat.settings import ChatSettings


def main() -> NoReturn:
    """Migrates the database that the environment names."""

    async def work() -> None:
        await migrate_database(ChatSettings.read(Environment()))

    run(work)


if __name__ == "__main__":
    main()
