"""The contract of the last release is not broken, and the check that says so bites."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from parley_testing.contract import copy_contract, run_buf
from parley_testing.tools import ROOT

RELEASED = ROOT / "protos" / "released.binpb"


def _check(where: Path) -> subprocess.CompletedProcess[str]:
    """What `make breaking` does, in another folder."""
    built = run_buf(where, "build", "-o", "now.binpb")
    assert built.returncode == 0, built.stderr
    return run_buf(
        where, "breaking", "now.binpb", "--against", str(RELEASED), "--config", "buf.yaml", "--exclude-path", "google"
    )


def _change(where: Path, file: str, old: str, new: str) -> None:
    path = where / "protos" / "parley" / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{file} no longer holds {old!r}: choose another example"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_todays_contract_serves_the_clients_of_the_last_release(tmp_path: Path) -> None:
    copy_contract(tmp_path)
    done = _check(tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_make_file_checks_the_same(tmp_path: Path) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"breaking \S+ --against \$\(RELEASED\) --config buf\.yaml --exclude-path google", text)


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("chat/v1/turn_event.proto", "string turn_id = 1;", "string turn = 1;", '"turn_id"'),
        ("chat/v1/session.proto", "string title = 2;", "string title = 70;", '"title"'),
        ("retrieval/v1/document.proto", "int32 size_bytes = 8;", "int64 size_bytes = 8;", '"size_bytes"'),
        ("system/v1/system_service.proto", "rpc GetHealth(", "rpc ReadHealth(", '"GetHealth"'),
        (
            "errors/v1/error_reason.proto",
            "ERROR_REASON_INTERNAL = 24;",
            "ERROR_REASON_" + "BROKEN = 24;",
            '"ERROR_REASON_INTERNAL"',
        ),
        (
            "inference/v1/inference_service.proto",
            "(stream StreamGenerateResponse)",
            "(StreamGenerateResponse)",
            '"StreamGenerate"',
        ),
    ],
)
def test_a_change_that_breaks_clients_is_refused_by_name(
    tmp_path: Path, file: str, old: str, new: str, named: str
) -> None:
    copy_contract(tmp_path)
    _change(tmp_path, file, old, new)
    done = _check(tmp_path)
    assert done.returncode != 0
    assert named in done.stdout, done.stdout + done.stderr
    assert file in done.stdout


def test_an_addition_breaks_nobody(tmp_path: Path) -> None:
    copy_contract(tmp_path)
    _change(
        tmp_path, "chat/v1/session.proto", "string title = 2;", "string title = 2;\n  // New.\n  string colour = 99;"
    )
    assert _check(tmp_path).returncode == 0


def test_a_comment_may_not_switch_a_lint_rule_off(tmp_path: Path) -> None:
    copy_contract(tmp_path)
    _change(
        tmp_path,
        "chat/v1/session.proto",
        "string title = 2;",
        "string title = 2;\n  // buf:lint:ignore FIELD_LOWER_SNAKE_CASE\n  string newColour = 99;",
    )
    done = run_buf(tmp_path, "lint")
    assert done.returncode != 0
    assert "newColour" in done.stdout
