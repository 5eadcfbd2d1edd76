"""The command's own words: help that waits for nothing, wrong usage, errors without tracebacks."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from parley_testing.command import COMMAND, environment

COMMANDS = ["up", "chat", "ask", "ingest", "search", "sessions", "status", "doctor", "token"]


def parley(*arguments: str, home: Path, given: bytes = b"", **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment({"PARLEY_HOME": str(home), **variables}),
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = parley("--help", home=tmp_path)
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


def test_help_loads_neither_grpc_nor_rich() -> None:
    script = (
        "import sys; from parley_cli.__main__ import main\n"
        "sys.argv = ['parley', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('grpc', 'rich', 'google.protobuf', 'parley_client', 'asyncio') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert parley("--version", home=tmp_path).stdout == f"parley {importlib.metadata.version('parley-cli')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["ask"],
        ["ask", "Hi", "--route", "sideways"],
        ["ask", "  "],
        ["search", "x", "--limit", "51"],
        ["token", "create", "--days", "0"],
        ["status", "--address", "no address"],
        ["status", "--address", "ftp://x:1", "--token", "t"],
    ],
)
def test_wrong_usage_is_two(tmp_path: Path, arguments: list[str]) -> None:
    done = parley(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["ask", "Hi"], ["chat"], ["token", "list"], ["sessions"]])
def test_a_parley_that_is_not_running_is_told_with_how_to_start_it(tmp_path: Path, arguments: list[str]) -> None:
    done = parley(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Parley is not running here" in done.stderr
    assert "`parley up`" in done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["ask", "Hi"], ["chat"]])
def test_a_parley_that_does_not_answer_is_told(tmp_path: Path, arguments: list[str]) -> None:
    done = parley(*arguments, "--address", "127.0.0.1:1", "--token", "x", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Parley does not answer at 127.0.0.1:1; start it with `parley up`" in done.stderr


def test_a_question_that_is_no_text_is_told(tmp_path: Path) -> None:
    done = parley("ask", "-", home=tmp_path, given=b"caf\xe9 ol\xe9", PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 1
    assert "Standard input is not UTF-8 text" in done.stderr


def test_up_without_the_packages_for_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from parley_cli.commands.up import up
    from parley_cli.place import CommandError

    # As Python does for a module that is not there.
    monkeypatch.setitem(sys.modules, "parley_local", None)
    monkeypatch.delitem(sys.modules, "parley_local.up", raising=False)
    with pytest.raises(CommandError, match=r"pip install 'parley-cli\[local\]'"):
        up()
