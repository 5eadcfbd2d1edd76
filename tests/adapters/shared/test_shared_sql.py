"""What chat and retrieval rely on, on both databases: transactions, snapshots, times, constraints."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from parley_shared.sql import Database, UtcDateTime, default_database_url, new_metadata
from parley_shared.sqlite_driver import SqliteConnection
from sqlalchemy import Column, ForeignKey, Integer, Table, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

metadata = new_metadata()
counters = Table(
    "counters", metadata, Column("id", Integer, primary_key=True), Column("value", Integer, nullable=False)
)
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("counter", ForeignKey("counters.id", ondelete="CASCADE"), nullable=False),
    Column("time", UtcDateTime),
)


@pytest.fixture
async def tables(database: Database) -> Database:
    async with database.write() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(counters).values(id=1, value=0))
    return database


async def value(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(counters.c.value).where(counters.c.id == 1))).scalar_one())


async def test_a_write_that_ends_well_is_kept_and_one_that_fails_is_not(tables: Database) -> None:
    async with tables.write() as connection:
        await connection.execute(update(counters).values(value=5))

    async def failing() -> None:
        async with tables.write() as connection:
            await connection.execute(update(counters).values(value=6))
            raise LookupError

    with pytest.raises(LookupError):
        await failing()
    assert await value(tables) == 5


async def test_a_write_whose_task_is_cancelled_is_not_kept_and_the_next_one_goes_on(tables: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with tables.write() as connection:
            await connection.execute(update(counters).values(value=7))
            inside.set()
            await asyncio.Event().wait()

    for _ in range(3):
        inside.clear()
        task = asyncio.create_task(write())
        await asyncio.wait_for(inside.wait(), 10)
        task.cancel()
        await asyncio.wait({task})
    async with asyncio.timeout(20):
        async with tables.write() as connection:
            await connection.execute(update(counters).values(value=counters.c.value + 1))
    assert await value(tables) == 1


async def test_a_write_that_is_cancelled_before_its_first_statement_is_done_leaves_nothing(
    tables: Database, database_url: str
) -> None:
    other = Database.open(database_url)

    async def write() -> None:
        async with tables.write() as connection:
            await connection.execute(update(counters).values(value=7))

    try:
        async with other.write() as holding:
            await holding.execute(update(counters).values(value=1))
            task = asyncio.create_task(write())
            done, _ = await asyncio.wait({task}, timeout=0.2)
            assert not done, "it waits for the other"
            task.cancel()
        await asyncio.wait({task})
        async with asyncio.timeout(30), tables.write() as connection:
            await connection.execute(update(counters).values(value=counters.c.value + 1))
    finally:
        await other.close()
    assert task.cancelled()
    assert await value(tables) == 2


async def test_a_write_without_a_statement_and_one_that_is_refused_hold_up_nobody(
    tables: Database, database_url: str
) -> None:
    other = Database.open(database_url)
    try:
        async with tables.write():
            pass
        with pytest.raises(LookupError):
            async with tables.write():
                raise LookupError
        with pytest.raises(DBAPIError):
            async with tables.write() as connection:
                await connection.execute(insert(counters).values(id=1, value=9))
        async with asyncio.timeout(30), other.write() as connection:
            await connection.execute(update(counters).values(value=3))
    finally:
        await other.close()
    assert await value(tables) == 3


async def test_a_read_sees_what_was_written_before_it_on_every_connection(tables: Database) -> None:
    for number in range(1, 9):
        async with tables.write() as connection:
            await connection.execute(update(counters).values(value=number))
        assert await asyncio.gather(*(value(tables) for _ in range(4))) == [number] * 4


async def test_a_hundred_writers_that_change_the_counter_first_all_get_a_number_of_their_own(tables: Database) -> None:
    async def number() -> int:
        async with tables.write() as connection:
            counted = update(counters).values(value=counters.c.value + 1).returning(counters.c.value)
            mine = int((await connection.execute(counted)).scalar_one())
            await connection.execute(insert(notes).values(id=mine, counter=1))
            return mine

    assert sorted(await asyncio.gather(*(number() for _ in range(100)))) == list(range(1, 101))


async def test_two_processes_worth_of_connections_write_together_without_being_locked_out(
    tables: Database, database_url: str
) -> None:
    other = Database.open(database_url)

    async def add(database: Database) -> None:
        async with database.write() as connection:
            current = (await connection.execute(select(counters.c.value).with_for_update())).scalar_one()
            await connection.execute(update(counters).values(value=current + 1))

    try:
        await asyncio.gather(*(add(database) for database in (tables, other) for _ in range(25)))
    finally:
        await other.close()
    assert await value(tables) == 50


async def test_a_read_sees_one_state_while_others_write(tables: Database) -> None:
    async with tables.read() as connection:
        before = (await connection.execute(select(counters.c.value))).scalar_one()
        async with tables.write() as writing:
            await writing.execute(update(counters).values(value=9))
        assert (await connection.execute(select(counters.c.value))).scalar_one() == before == 0
    assert await value(tables) == 9


async def test_a_read_cannot_write(tables: Database) -> None:
    with pytest.raises(DBAPIError):
        async with tables.read() as connection:
            await connection.execute(update(counters).values(value=9))
    assert await value(tables) == 0
    async with tables.write() as connection:
        await connection.execute(update(counters).values(value=1))


async def test_reads_run_beside_each_other_and_more_than_there_are_connections_wait(tables: Database) -> None:
    assert await asyncio.gather(*(value(tables) for _ in range(60))) == [0] * 60


async def test_references_are_enforced_and_deletes_cascade(tables: Database) -> None:
    with pytest.raises(IntegrityError):
        async with tables.write() as connection:
            await connection.execute(insert(notes).values(id=1, counter=77))
    async with tables.write() as connection:
        await connection.execute(insert(notes).values(id=1, counter=1))
        await connection.execute(counters.delete())
    async with tables.read() as connection:
        assert (await connection.execute(select(notes))).all() == []


@pytest.mark.parametrize(
    "time",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 7, 2, 3, 4, 5, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1970, 1, 1, tzinfo=UTC),
    ],
)
async def test_a_time_comes_back_in_utc_to_the_microsecond(tables: Database, time: datetime) -> None:
    async with tables.write() as connection:
        await connection.execute(insert(notes).values(id=1, counter=1, time=time))
    async with tables.read() as connection:
        (back,) = (await connection.execute(select(notes.c.time).where(notes.c.time <= time))).scalars()
        assert (await connection.execute(select(notes.c.id).where(notes.c.time < time))).all() == []
    assert back == time
    assert back.tzinfo is UTC


async def test_a_time_without_a_zone_is_refused(tables: Database) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        async with tables.write() as connection:
            await connection.execute(insert(notes).values(id=1, counter=1, time=datetime(2026, 1, 1)))  # noqa: DTZ001 - meant


async def test_a_database_that_answers_is_pinged(database: Database) -> None:
    await database.ping()
    assert database.dialect in {"sqlite", "postgresql"}


async def test_a_database_that_is_gone_is_told(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/data/test.db")
    (tmp_path / "data").rmdir()
    with pytest.raises(DBAPIError):
        await database.ping()
    await database.close()


async def test_the_folder_of_a_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    url = default_database_url(tmp_path, "chat")
    assert url == f"sqlite:///{tmp_path}/chat/chat.db"
    await Database.open(url).close()
    assert stat.S_IMODE((tmp_path / "chat").stat().st_mode) == 0o700


async def test_a_transaction_on_sqlite_wakes_its_thread_once_for_each_statement_and_once_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[object] = []
    step = SqliteConnection.step

    def counted(connection: SqliteConnection, work: Callable[[sqlite3.Connection], object]) -> asyncio.Future[object]:
        steps.append(work)
        return step(connection, work)

    database = Database.open(f"sqlite:///{tmp_path}/a.db")
    async with database.write() as connection:
        await connection.run_sync(metadata.create_all)
    await database.ping()
    monkeypatch.setattr(SqliteConnection, "step", counted)
    async with database.write() as connection:
        await connection.execute(insert(counters), [{"id": 1, "value": 0}, {"id": 2, "value": 5}])
        told = await connection.execute(update(counters).values(value=1).returning(counters.c.id))
        assert (sorted(told.scalars()), len(steps)) == ([1, 2], 2)
    assert len(steps) == 3
    assert await value(database) == 1
    assert len(steps) == 5
    await database.close()


async def test_sqlite_is_opened_as_the_design_says(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/a.db")
    async with database.read() as connection:
        pragmas = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    await database.close()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 10_000}


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "postgresql"])
def test_a_url_that_is_no_use_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="database URL") as caught:
        Database.open(url)
    assert url == "" or url not in str(caught.value).replace("sqlite:////absolute/path", "")


def test_every_constraint_has_a_name() -> None:
    assert counters.primary_key.name == "pk_counters"
    assert {constraint.name for constraint in notes.foreign_key_constraints} == {"fk_notes_counter_counters"}
