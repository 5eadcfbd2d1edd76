"""The databases of the services that tests start: each home has its own, which is there again when a service is started on it again.

They are SQLite files in the home. With PARLEY_TEST_DATABASE=postgresql (`make test-postgresql`) they are databases of a PostgreSQL
server of the run's own, and a test that is not told notices nothing of it. A test that is about a SQLite file names it itself.

Everything here blocks.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import sqlite3
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal, get_args

from parley_shared.sql import default_database_url, migrate

from parley_testing.postgres import PostgresServer, running_postgres

Service = Literal["chat", "retrieval"]

ON_POSTGRESQL = os.environ.get("PARLEY_TEST_DATABASE") == "postgresql"
"""Whether services that are named no database run on PostgreSQL, and not on SQLite."""


class _Databases:
    """The databases of homes on PostgreSQL."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._server: PostgresServer | None = None
        self._templates: dict[Service, str] = {}
        self._of_homes: dict[tuple[Service, Path], str] = {}

    def url(self, service: Service, home: Path) -> str:
        """The home's database, which is made and migrated at first use."""
        with self._alone:
            key = (service, home.absolute())
            if key not in self._of_homes:
                server = self._started()
                if service not in self._templates:
                    self._templates[service] = server.new_database_url()
                    _migrate(service, self._templates[service])
                # A copy takes a fraction of the time of the migrations.
                self._of_homes[key] = server.new_database_url(self._templates[service])
            return self._of_homes[key]

    def copy(self, home: Path, target: Path) -> None:
        """Gives `target` what the databases of `home` hold now."""
        with self._alone:
            for (service, place), url in list(self._of_homes.items()):
                if place == home.absolute():
                    self._of_homes[(service, target.absolute())] = self._started().copy_of(url)

    def forget(self, service: Service, home: Path) -> None:
        with self._alone:
            self._of_homes.pop((service, home.absolute()), None)

    def _started(self) -> PostgresServer:
        if self._server is None:
            ending = ExitStack()
            self._server = ending.enter_context(running_postgres())
            # No fixture: services are started in too many places. The run's end is the server's.
            atexit.register(ending.close)
        return self._server


_databases = _Databases()


def database_url(service: Service, home: Path) -> str:
    """Where a service that is started on `home` keeps its rows."""
    return _databases.url(service, home) if ON_POSTGRESQL else default_database_url(home, service)


def database_variables(service: Service, home: Path) -> dict[str, str]:
    """What a service that is started on `home` has to be told of its database: nothing when it is the file that it makes itself."""
    return {f"PARLEY_{service.upper()}_DATABASE_URL": _databases.url(service, home)} if ON_POSTGRESQL else {}


def lose_database(service: Service, home: Path) -> None:
    """Takes the database away from a home on which the service does not run: the next start finds an empty one."""
    if ON_POSTGRESQL:
        _databases.forget(service, home)
    for file in (home / service).glob(f"{service}.db*"):
        file.unlink()


def copy_as_killed(home: Path, target: Path) -> None:
    """Makes `target` what the processes on `home` would leave behind if they were killed now: files and rows. They go on undisturbed.

    The rows are those of one moment, the files those of a moment after: what wrote both in between must have come to rest.
    """
    names = [f"{service}.db" for service in get_args(Service)]
    for file in [file for name in names for file in home.glob(f"*/{name}")]:
        copy = target / file.relative_to(home)
        copy.parent.mkdir(mode=0o700, parents=True)
        # By SQLite itself: a copy of the file and of its log, one after the other, may be of no moment that ever was.
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as destination:
            source.backup(destination)
    if ON_POSTGRESQL:
        _databases.copy(home, target)
    ignored = shutil.ignore_patterns(*(f"{name}*" for name in names))
    shutil.copytree(home, target, ignore=ignored, dirs_exist_ok=True)


def _migrate(service: Service, url: str) -> None:
    # Imported here: the tests of one service need not have the other one's packages.
    if service == "chat":
        from parley_chat.adapters.sql_schema import metadata
    else:
        from parley_retrieval.adapters.sql_schema import metadata
    asyncio.run(migrate(url, f"parley_{service}", metadata))
