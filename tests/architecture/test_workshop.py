"""The workshop itself: what `make` says to people, and that nothing can be skipped where everything is required."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from parley_testing.tools import ROOT, require_tool


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs make in the project, with another PATH if one is given."""
    # What an outer make passes on is not meant for this one.
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    if path is not None:
        environment["PATH"] = path
    command = [require_tool("make"), "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def program(folder: Path, name: str, script: str) -> Path:
    """A program of a few lines of shell."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def only(folder: Path, *names: str) -> str:
    """A PATH on which nothing but these programs is found."""
    for name in names:
        (folder / name).symlink_to(require_tool(name))
    return str(folder)


def test_make_alone_lists_every_public_command() -> None:
    done = make()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert done.returncode == 0, done.stderr
    assert {
        "run",
        "setup",
        "migrate",
        "gen",
        "gen-check",
        "format",
        "lint",
        "types",
        "test",
        "test-e2e",
        "check",
        "bench-smoke",
    } <= targets
    assert targets == set(re.findall(r"^  make ([a-z0-9-]+) ", done.stdout, re.MULTILINE))


def test_a_python_that_is_too_old_is_told_in_one_line(tmp_path: Path) -> None:
    # A Python that says it is 3.9 and is otherwise the one that runs here.
    pretend = "import sys; sys.version_info = (3, 9, 2); sys.version = '3.9.2 (old)'; exec(sys.argv[1])"
    old = program(tmp_path, "python3.9", f'exec "{sys.executable}" -c "{pretend}" "$2"')
    done = make("python-check", f"PYTHON={old}")
    assert done.returncode != 0
    assert "Parley needs Python 3.11 or newer" in done.stderr
    assert "3.9.2" in done.stderr


def test_a_python_that_is_not_there_is_told_in_one_line() -> None:
    done = make("python-check", "PYTHON=python-of-nowhere")
    assert done.returncode != 0
    assert "there is no python-of-nowhere" in done.stderr


def test_a_node_that_is_too_old_is_told_in_one_line(tmp_path: Path) -> None:
    pretend = 'Object.defineProperty(process, "versions", {value: {node: "18.20.1"}});'
    program(tmp_path, "node", f"exec '{require_tool('node')}' -e '{pretend}'\"$2\"")
    done = make("node-check", path=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode != 0
    assert "Parley needs Node 20.19 or newer" in done.stderr
    assert "18.20.1" in done.stderr


def test_a_missing_node_is_told_in_one_line(tmp_path: Path) -> None:
    done = make("node-check", path=only(tmp_path, "bash"))
    assert done.returncode != 0
    assert "there is none on PATH" in done.stderr


SKIPPING = """
import pytest
from parley_testing.tools import require_tool

def test_that_needs_a_program():
    require_tool("program-of-nowhere")

@pytest.mark.skip(reason="a mark")
def test_that_is_marked():
    pass

@pytest.mark.xfail(reason="expected")
def test_that_is_expected_to_fail():
    assert False

def test_that_passes():
    pass
"""


def run_tests(folder: Path, text: str, required: str) -> str:
    """Runs a test file under the project's own conftest, in a folder of its own. What pytest prints."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (folder / "test_skipping.py").write_text(text)
    environment = os.environ | {"PARLEY_TEST_REQUIRE": required, "PYTHONPATH": str(ROOT / "tests" / "support")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-ra",
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
        "test_skipping.py",
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_a_missing_program_skips_with_its_reason(tmp_path: Path) -> None:
    output = run_tests(tmp_path, SKIPPING, required="")
    assert "1 passed, 2 skipped, 1 xfailed" in output
    assert "program-of-nowhere is not installed" in output


def test_nothing_is_skipped_where_everything_is_required(tmp_path: Path) -> None:
    output = run_tests(tmp_path, SKIPPING, required="all")
    assert "skipped," not in output.splitlines()[-1]
    assert "1 passed" in output.splitlines()[-1]
    for name in ("test_that_needs_a_program", "test_that_is_marked", "test_that_is_expected_to_fail"):
        assert re.search(rf"(FAILED|ERROR) test_skipping.py::{name}", output), output


def test_a_file_that_skips_itself_fails_where_everything_is_required(tmp_path: Path) -> None:
    text = "import pytest\npytest.skip('not today', allow_module_level=True)\n"
    assert "1 skipped" in run_tests(tmp_path, text, required="")
    output = run_tests(tmp_path, text, required="all")
    assert "not today" in output
    assert "1 error" in output.splitlines()[-1]


@pytest.mark.parametrize("script", [".ci/run"])
def test_a_script_of_the_workshop_is_sound_and_executable(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    done = subprocess.run([require_tool("bash"), "-n", str(ROOT / script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
