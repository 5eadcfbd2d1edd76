"""Finding the programs that some tests need: Chromium, PostgreSQL, Redis, grpcurl, Envoy, buf.

It finds; it does not install. `.ci/run` and `make setup` do that.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

REQUIRE_VARIABLE = "PARLEY_TEST_REQUIRE"
"""The value "all" says that this machine has everything, so that a missing program is a failure and not a skipped test."""

ROOT = Path(__file__).resolve().parents[3]
"""The root of the project."""

_HOW_TO_GET = {
    "buf": "make setup",
    "envoy": "make setup",
    "node": "install Node 20 or newer",
    "npm": "install Node 20 or newer",
    "chromium": "apt-get install chromium",
    "go": "install Go 1.25 or newer (https://go.dev)",
    "grpcurl": "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest",
    "ghz": "go install github.com/bojand/ghz/cmd/ghz@latest",
    "postgres": "apt-get install postgresql",
    "createdb": "apt-get install postgresql",
    "initdb": "apt-get install postgresql",
    "pg_isready": "apt-get install postgresql",
    "pg_ctl": "apt-get install postgresql",
    "pg_dump": "apt-get install postgresql",
    "psql": "apt-get install postgresql",
    "redis-server": "apt-get install redis-server",
    "tmux": "apt-get install tmux",
    "promtool": "apt-get install prometheus",
    "prometheus": "apt-get install prometheus",
}


def everything_is_required() -> bool:
    """Says whether a test may not be skipped here."""
    return os.environ.get(REQUIRE_VARIABLE, "") == "all"


def find_tool(name: str) -> str | None:
    """The path of a program: the environment's own first, then PATH, then the newest PostgreSQL. None when there is none."""
    if (own := Path(sys.executable).parent / name).is_file() and os.access(own, os.X_OK):
        return str(own)
    if found := shutil.which(name):
        return found
    # Debian keeps PostgreSQL's own programs out of PATH, one folder per major version.
    versions = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if os.access(path, os.X_OK)]
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    return str(newest) if newest is not None else None


def require_tool(name: str) -> str:
    """The path of a program that the test cannot do without.

    When it is missing, the test is skipped, or failed where everything is required.
    """
    if (found := find_tool(name)) is not None:
        return found
    reason = f"{name} is not installed ({_HOW_TO_GET.get(name, f'put {name} on PATH')})"
    if everything_is_required():
        pytest.fail(f"{reason}, and {REQUIRE_VARIABLE}=all says that it must be", pytrace=False)
    pytest.skip(reason)
