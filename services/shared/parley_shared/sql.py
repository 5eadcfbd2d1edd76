"""SQL: the engine, transactions, UTC times and migrations that chat and retrieval share. SQLite on a laptop, or PostgreSQL.

It is not an object mapper and holds no table: each service writes its statements with SQLAlchemy Core in its adapters.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, closing
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, MetaData, column, event, inspect, select, text
from sqlalchemy import table as sql_table
from sqlalchemy.engine import URL, Connection, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from parley_shared.rpc_traffic import Traffic
from parley_shared.sqlite_driver import SqliteConnection

_BUSY_MILLISECONDS = 10_000
_SWITCH_SECONDS = 30.0
_READERS = 4
_POSTGRES_CONNECTIONS = 10

_one_migration = threading.Lock()
"""Alembic keeps what it works on in its module: one migration at a time in a process, whichever the databases."""


class DatabaseUrlError(ValueError):
    """A URL that leads to no database: it cannot be read, or nothing usable answers there. The message holds no password."""


def new_metadata() -> MetaData:
    """Metadata whose constraints all have names: a migration on SQLite can only change what has one."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A time: always aware, always UTC, to the microsecond, on SQLite (whose own type forgets the zone) and PostgreSQL."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database. A time without a zone is refused with ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """A database and its connections. `open` makes it; it connects at first use."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock() if writer.dialect.name == "sqlite" else None
        self.traffic = Traffic()
        """Its transactions. One that a constraint refused is no error: that is an answer."""

    @classmethod
    def open(cls, url: str) -> Database:
        """Opens "sqlite:///path" or "postgresql://user:password@host/name". Raises DatabaseUrlError for another URL.

        The folder of a SQLite file is made when it is missing, for its owner alone.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            _make_folder(parsed)
            return cls(_sqlite(parsed, read_only=True), _sqlite(parsed, read_only=False))
        engine = create_async_engine(
            parsed, pool_size=_POSTGRES_CONNECTIONS, max_overflow=0, pool_pre_ping=True, pool_recycle=1800
        )
        reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return cls(reader, engine)

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        return self._writer.dialect.name

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that only reads, and sees the database as it was at its first statement."""
        return self._counted(self._reader.begin())

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction. It commits at the end of the block and rolls back when an error leaves it.

        On SQLite it is the only one that writes. On PostgreSQL others run beside it (read committed): start with the row that all
        of them change, `UPDATE … RETURNING` of a counter, when they must not interleave.
        """
        return self._counted(self._writer.begin() if self._turn is None else self._write_in_turn(self._turn))

    @asynccontextmanager
    async def _counted(
        self, transaction: AbstractAsyncContextManager[AsyncConnection]
    ) -> AsyncGenerator[AsyncConnection]:
        running, started, failed = self.traffic.begin(str), time.perf_counter(), False
        try:
            async with transaction as connection:
                yield connection
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            failed = not isinstance(error, IntegrityError)
            raise
        finally:
            self.traffic.end(running, time.perf_counter() - started, failed=failed)

    @asynccontextmanager
    async def _write_in_turn(self, turn: asyncio.Lock) -> AsyncGenerator[AsyncConnection]:
        # SQLite has one writer. Waiting here is fair and wakes at once; SQLite's own waiting polls, and blocks a thread.
        async with turn, self._writer.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self._reader.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes all connections."""
        await self._reader.dispose()
        await self._writer.dispose()


def default_database_url(home: Path, service: str) -> str:
    """Where a service's database is on a laptop: `<home>/<service>/<service>.db`."""
    return f"sqlite:///{home.absolute() / service / f'{service}.db'}"


async def migrate(url: str, package: str, metadata: MetaData) -> None:
    """Brings the database to the newest migration of `<package>/migrations`, in a thread.

    Replicas may do so together: the first takes a lock, the others wait and find nothing left to do. Either all migrations that
    were missing are applied, or none. Raises DatabaseUrlError, a ValueError, when there is no database to migrate.
    """
    await asyncio.to_thread(lambda: asyncio.run(_migrate(url, package, metadata)))


async def migrate_in_own_process(url: str, package: str) -> None:
    """Has `python -m <package>.migrate` migrate a database that is behind: a service would keep the 11 MB that Alembic takes.

    Raises as `migrate` does. Ends this process, with its exit code, when that one fails: it has told why.
    """
    async with _migrating(url) as connection:
        behind = await connection.run_sync(_revision, package) != newest_migration(package)
    if not behind:
        return
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", f"{package}.migrate")
    code = await process.wait()
    if code != 0:
        sys.exit(code if code > 0 else 1)


async def missing_migrations(url: str, package: str, metadata: MetaData) -> list[str]:
    """What `metadata` has and the migrated database has not, or the reverse; empty when the migrations are complete.

    For tests: a table that changed without a migration is a mistake that SQLite would tell of only in production.
    """
    return await asyncio.to_thread(lambda: asyncio.run(_compare(url, package, metadata)))


def run_migrations() -> None:
    """What a package's `migrations/env.py` calls, and all it needs: runs the migrations on the connection that `migrate` opened."""
    from alembic import context  # noqa: PLC0415 - it exists only while Alembic runs

    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        target_metadata=attributes["metadata"],
        version_table=attributes["version_table"],
        render_as_batch=True,
        compare_type=True,
        include_name=_only_own_tables(attributes["metadata"]),
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate(url: str, package: str, metadata: MetaData) -> None:
    async with _migrating(url) as connection:
        await connection.run_sync(_upgrade, package, metadata)


async def _compare(url: str, package: str, metadata: MetaData) -> list[str]:
    async with _migrating(url) as connection:
        return await connection.run_sync(_differences, package, metadata)


@asynccontextmanager
async def _migrating(url: str) -> AsyncGenerator[AsyncConnection]:
    """A transaction that nobody else's migration is in at the same time."""
    parsed = _parse(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite:
        _make_folder(parsed)
        _look_into(str(parsed.database))
        # Changing a table on SQLite drops and copies it, and dropping one deletes the rows that refer to it: the keys are not
        # enforced here, and checked at the end instead.
        engine = _sqlite(parsed, read_only=False, foreign_keys=False, busy_milliseconds=120_000)
    else:
        engine = create_async_engine(parsed)
    try:
        async with aclosing(await _connected(engine)) as connection, connection.begin():
            if not is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('parley.migrations'))"))
            yield connection
            if is_sqlite:
                broken = (await connection.execute(text("PRAGMA foreign_key_check"))).all()
                if broken:
                    raise RuntimeError(
                        f"the migrations break {len(broken)} references, first in the table {broken[0][0]}"
                    )
    finally:
        await engine.dispose()


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    try:
        return await engine.connect()
    except DBAPIError as error:
        raise DatabaseUrlError(f"the database cannot be opened: {error.orig}") from error
    except OSError as error:
        raise DatabaseUrlError(f"the database cannot be reached: {error}") from error


def _config(connection: Connection, package: str, metadata: MetaData) -> Any:
    from alembic.config import Config  # noqa: PLC0415 - only a start needs Alembic

    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, metadata=metadata, version_table=_version_table(package))
    return config


def newest_migration(package: str) -> str:
    """The revision of the last migration of `<package>/migrations`: what its file's name begins with."""
    versions = files(package).joinpath("migrations", "versions")
    return max(
        revision
        for file in versions.iterdir()
        if (revision := file.name.partition("_")[0]) and file.name.endswith(".py")
    )


def _upgrade(connection: Connection, package: str, metadata: MetaData) -> None:
    if _revision(connection, package) == newest_migration(package):
        return
    from alembic import command  # noqa: PLC0415 - only a database that is behind needs Alembic, which takes 11 MB

    with _one_migration:
        command.upgrade(_config(connection, package, metadata), "head")


def _revision(connection: Connection, package: str) -> str | None:
    """Where the database is; None when nothing was migrated yet."""
    table = _version_table(package)
    if not inspect(connection).has_table(table):
        return None
    revision: str | None = connection.execute(select(column("version_num")).select_from(sql_table(table))).scalar()
    return revision


def _version_table(package: str) -> str:
    """Two services may share a database: each keeps its own account of its migrations."""
    return f"{package}_migrations"


def _differences(connection: Connection, package: str, metadata: MetaData) -> list[str]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only tests need it
    from alembic.migration import MigrationContext  # noqa: PLC0415

    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "version_table": _version_table(package),
            "include_name": _only_own_tables(metadata),
            "target_metadata": metadata,
        },
    )
    return [str(difference) for difference in compare_metadata(context, metadata)]


def _only_own_tables(metadata: MetaData) -> Any:
    def include(name: str | None, kind: str, parents: Any) -> bool:
        del parents
        return kind != "table" or name in metadata.tables

    return include


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlError("the database URL cannot be read") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseUrlError("the database URL names no file: sqlite:////absolute/path")
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in {"postgresql", "postgres"}:
        if "sslmode" in parsed.query:  # the name that everybody knows; the driver calls it otherwise
            parsed = parsed.update_query_dict({"ssl": parsed.query["sslmode"]}).difference_update_query(["sslmode"])
        return parsed.set(drivername="postgresql+asyncpg")
    raise DatabaseUrlError("the database URL must begin with sqlite:/// or postgresql://")


def _make_folder(url: URL) -> None:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUrlError(f"the folder of the database cannot be made: {error}") from error


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _look_into(file: str) -> None:
    """Raises DatabaseUrlError when the file is no database. Blocks. aiosqlite would leave a thread behind that complains."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return  # It is one, and somebody works in it: the migrations wait for that.
        raise DatabaseUrlError(f"the database cannot be opened: {error}") from error


def _use_write_ahead_log(cursor: Any) -> None:
    """Switches to WAL, which the file remembers. SQLite does not wait for others here, whatever the busy timeout is."""
    deadline = time.monotonic() + _SWITCH_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            # Only while another process makes the same new file: a service's loop is not running anything else yet.
            time.sleep(0.01)
        else:
            return


def _sqlite(
    url: URL, *, read_only: bool, foreign_keys: bool = True, busy_milliseconds: int = _BUSY_MILLISECONDS
) -> AsyncEngine:
    async def connect() -> SqliteConnection:
        arguments, options = engine.dialect.create_connect_args(url)
        # The driver would begin transactions by itself, and too late; `began` does.
        open_file = partial(sqlite3.connect, *arguments, **options, isolation_level=None)
        connection = SqliteConnection(open_file, read_only=read_only)
        await connection
        return connection

    engine = create_async_engine(url, pool_size=_READERS if read_only else 1, max_overflow=0, async_creator=connect)

    def connected(connection: Any, record: Any) -> None:
        del record
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_milliseconds}")
        _use_write_ahead_log(cursor)
        # With WAL a crash of the process loses nothing that was committed. A loss of power can lose the last moments and damages
        # nothing; the same holds for the turn log, so the 0.25 ms that FULL adds to each transaction would buy no promise.
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()
        # SQLite's own lower() knows ASCII only; PostgreSQL's knows every letter, and a search must find the same on both.
        connection.create_function("lower", 1, _lower, deterministic=True)

    def began(connection: Connection) -> None:
        # A deferred transaction that comes to write fails at once with "database is locked" when another one wrote meanwhile.
        driver: Any = connection.connection.driver_connection
        driver.begin_with("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", began)
    return engine
