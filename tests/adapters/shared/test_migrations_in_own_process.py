"""A service has its database migrated by a process of its own, and only when the database is behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from parley_shared.sql import migrate_in_own_process, newest_migration

pytestmark = pytest.mark.usefixtures("home")

OPENED = """
import asyncio, sys
from parley_{0}.database_assembly import migrate_database, migrate_database_in_own_process
from parley_{0}.settings import {1}Settings
from parley_shared.settings import Environment
settings = {1}Settings.read(Environment())
asyncio.run(migrate_database_in_own_process(settings))
asyncio.run(migrate_database(settings))
print("alembic" in sys.modules)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("package", ["parley_chat", "parley_retrieval"])
def test_the_newest_migration_is_the_one_that_alembic_ends_at(package: str) -> None:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [newest_migration(package)]


@pytest.mark.parametrize("service", ["chat", "retrieval"])
def test_a_service_that_migrates_its_database_holds_no_alembic_afterwards(service: str) -> None:
    for _ in ("a database that is not there yet", "one that is as it should be"):
        done = subprocess.run(
            [sys.executable, "-c", OPENED.format(service, service.capitalize())],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


async def test_a_service_ends_with_the_process_that_could_not_migrate(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the other process reads is not what this one has looked at.
    monkeypatch.setenv("PARLEY_CHAT_DATABASE_URL", "sqlite+aiosqlite:////dev/null/chat.sqlite")
    with pytest.raises(SystemExit) as ended:
        await migrate_in_own_process(f"sqlite+aiosqlite:///{home}/chat.sqlite", "parley_chat")
    assert ended.value.code == 2
