"""Migrations: to the newest, whole or not at all, by many at once, and without losing rows that refer to a changed table."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from parley_shared.sql import Database, DatabaseUrlError, migrate, missing_migrations, new_metadata
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, inspect, text

ENV = "from parley_shared.sql import run_migrations\nrun_migrations()\n"

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("parents", sa.Column("id", sa.Integer, nullable=False), sa.Column("name", sa.String(10), nullable=False),
                    sa.PrimaryKeyConstraint("id", name="pk_parents"))
    op.create_table("children", sa.Column("id", sa.Integer, nullable=False), sa.Column("parent", sa.Integer, nullable=False),
                    sa.PrimaryKeyConstraint("id", name="pk_children"),
                    sa.ForeignKeyConstraint(["parent"], ["parents.id"], name="fk_children_parent_parents", ondelete="CASCADE"))
"""

SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("parents") as batch:
        batch.alter_column("name", existing_type=sa.String(10), type_=sa.String(100), nullable=True)
        batch.add_column(sa.Column("size", sa.Integer))
"""

BROKEN = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.execute("CREATE TABLE half (id INTEGER)")
    op.execute("INSERT INTO no_such_table VALUES (1)")
"""

NewPackage = Callable[..., str]


@pytest.fixture
def new_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewPackage:
    """Makes an importable package with these migrations, or changes those of one."""
    monkeypatch.syspath_prepend(tmp_path)

    def made(*migrations: str, name: str | None = None) -> str:
        name = name or f"migrated_{uuid.uuid4().hex}"
        versions = tmp_path / name / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
        (versions.parent / "env.py").write_text(ENV)
        for number, migration in enumerate(migrations, 1):
            (versions / f"{number:04}_step.py").write_text(migration)
        return name

    return made


def tables(*, newest: bool) -> MetaData:
    metadata = new_metadata()
    parents = Table("parents", metadata, Column("id", Integer, primary_key=True))
    parents.append_column(Column("name", String(100 if newest else 10), nullable=newest))
    if newest:
        parents.append_column(Column("size", Integer))
    children = Table("children", metadata, Column("id", Integer, primary_key=True))
    children.append_column(Column("parent", ForeignKey("parents.id", ondelete="CASCADE"), nullable=False))
    return metadata


async def names(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_an_empty_database_gets_all_tables_and_a_second_time_changes_nothing(
    database: Database, database_url: str, new_package: NewPackage
) -> None:
    package = new_package(FIRST, SECOND)
    for _ in range(2):
        await migrate(database_url, package, tables(newest=True))
    assert await names(database) == {"parents", "children", f"{package}_migrations"}
    assert await missing_migrations(database_url, package, tables(newest=True)) == []


async def test_a_changed_table_keeps_its_rows_and_those_that_refer_to_them(
    database: Database, database_url: str, new_package: NewPackage
) -> None:
    package = new_package(FIRST)
    await migrate(database_url, package, tables(newest=False))
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO parents (id, name) VALUES (1, 'one')"))
        await connection.execute(text("INSERT INTO children (id, parent) VALUES (1, 1), (2, 1)"))
    new_package(FIRST, SECOND, name=package)
    await migrate(database_url, package, tables(newest=True))
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT name, size FROM parents"))).all() == [("one", None)]
        assert (await connection.execute(text("SELECT count(*) FROM children"))).scalar_one() == 2


async def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, database_url: str, new_package: NewPackage
) -> None:
    package = new_package(FIRST)
    await migrate(database_url, package, tables(newest=False))
    new_package(FIRST, BROKEN, name=package)
    with pytest.raises(Exception, match="no_such_table"):
        await migrate(database_url, package, tables(newest=True))
    assert "half" not in await names(database)
    new_package(FIRST, SECOND, name=package)
    await migrate(database_url, package, tables(newest=True))


async def test_two_packages_may_share_a_database(
    database: Database, database_url: str, new_package: NewPackage
) -> None:
    other_tables = new_metadata()
    Table("others", other_tables, Column("id", Integer, primary_key=True))
    other = new_package(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision = '0001'\ndown_revision = None\n\n\n"
        "def upgrade():\n    op.create_table('others', sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    package = new_package(FIRST, SECOND)
    await asyncio.gather(
        migrate(database_url, package, tables(newest=True)), migrate(database_url, other, other_tables)
    )
    assert {"parents", "others"} <= await names(database)
    assert await missing_migrations(database_url, other, other_tables) == []


async def test_replicas_may_migrate_together(
    database: Database, database_url: str, new_package: NewPackage, tmp_path: Path
) -> None:
    # Slow, so that they do meet.
    package = new_package(FIRST.replace("def upgrade():", "def upgrade():\n    __import__('time').sleep(2)"), SECOND)
    program = (
        "import asyncio, sys\nfrom parley_shared.sql import migrate, new_metadata\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"asyncio.run(migrate({database_url!r}, {package!r}, new_metadata()))\n"
    )
    replicas = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    for replica in replicas:
        _, errors = await replica.communicate()
        assert (replica.returncode, errors) == (0, b"")
    assert await missing_migrations(database_url, package, tables(newest=True)) == []


async def test_a_change_without_a_migration_is_found(database_url: str, new_package: NewPackage) -> None:
    package = new_package(FIRST)
    await migrate(database_url, package, tables(newest=False))
    missing = await missing_migrations(database_url, package, tables(newest=True))
    assert any("size" in difference for difference in missing)
    assert any("name" in difference for difference in missing)


async def test_the_event_loop_goes_on_while_a_migration_runs(database_url: str, new_package: NewPackage) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await migrate(database_url, new_package(FIRST, SECOND), tables(newest=True))
    ticking.cancel()
    assert ticks > 5


async def test_a_file_that_is_no_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("not a database, but something that somebody wrote " * 100)
    before = file.read_bytes()
    with pytest.raises(DatabaseUrlError, match="not a database"):
        await migrate(f"sqlite:///{file}", "nothing", new_metadata())
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@127.0.0.1:1/x",
        "postgresql://ann:hunter2@no.such.invalid/x",
        "sqlite:////proc/no/x.db",
        "sqlite:////proc",
    ],
)
async def test_a_url_that_leads_nowhere_is_told_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        await migrate(url, "nothing", new_metadata())
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
