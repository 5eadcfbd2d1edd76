"""The reasons of errors: those in the contract are given somewhere, those that are given are in the contract."""

from __future__ import annotations

import json
import re

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from parley_testing.contract import enum_values
from parley_testing.source import tracked_files
from parley_testing.tools import ROOT

REASONS = enum_values("ErrorReason")

RESERVED = {
    "ERROR_REASON_UNSPECIFIED": "by its own words it is never sent",
}
"""Values that nothing gives, with the reason why they are there."""

NAME = re.compile(r"\bERROR_REASON_[A-Z0-9_]*[A-Z0-9]\b")


def _named_in(*folders: str, endings: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in tracked_files():
        # Tests name reasons that do not exist, to see what becomes of them.
        if path.parts[0] in folders and path.suffix in endings and not {"test", "tests"} & set(path.parts):
            for name in NAME.findall((ROOT / path).read_text(encoding="utf-8")):
                found.setdefault(name, []).append(str(path))
    return found


def test_every_reason_that_code_names_is_in_the_contract() -> None:
    named = _named_in("services", "clients", "deploy", "web", endings=(".py", ".ts", ".tsx"))
    assert {
        name: places
        for name, places in named.items()
        if name not in REASONS and "test_error_reasons.py" not in places[0]
    } == {}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_the_contract_is_given_by_some_service(reason: str) -> None:
    given = _named_in("services", endings=(".py",))
    assert reason in given or reason in RESERVED, "no service gives it"


def test_a_reason_that_is_given_is_not_reserved() -> None:
    # UNSPECIFIED is compared with, where an error of another service is read.
    assert set(RESERVED) & set(_named_in("services", endings=(".py",))) <= {"ERROR_REASON_UNSPECIFIED"}


@pytest.mark.parametrize(("reason", "comment"), REASONS.items())
def test_every_reason_has_an_example_that_is_an_error_info(reason: str, comment: str) -> None:
    example = re.search(r"Example: `(\{.*\})`", comment)
    assert example is not None, comment
    info = json_format.ParseDict(json.loads(example[1]), error_details_pb2.ErrorInfo())
    assert info.reason == reason
    assert info.domain == "parley"
    assert len(reason) <= 63
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,63}", key) for key in info.metadata)


def test_the_guide_tells_of_every_reason_its_status_and_what_to_do() -> None:
    guide = (ROOT / "docs" / "guide" / "errors.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in guide.splitlines() if line.startswith("| `")
    ]
    told = {name.strip("`"): (status, happened, to_do) for name, status, happened, _, to_do in rows}
    assert list(told) == [reason for reason in REASONS if reason not in RESERVED], "`make gen` writes the table"
    assert {status for status, _, _ in told.values()} <= {code.name for code in grpc.StatusCode}
    assert [name for name, cells in told.items() if not all(cells)] == [], "a comment lacks the paragraph `To do: ...`"
