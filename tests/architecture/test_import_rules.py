"""Who may import whom: the rooms of a service, and the packages among each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from parley_testing.rooms import ROOMS, breaches
from parley_testing.tools import ROOT, require_tool

SERVICES = ("chat", "inference", "retrieval")
PACKAGES = (
    "parley_shared",
    *(f"parley_{name}" for name in SERVICES),
    "parley_client",
    "parley_cli",
    "parley_edge",
    "parley_local",
)


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_of_a_service_imports_only_what_its_room_may(service: str) -> None:
    package = ROOT / "services" / service / f"parley_{service}"
    assert breaches(package) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    package = ROOT / "services" / service / f"parley_{service}"
    names = {path.name.removesuffix(".py") for path in package.iterdir()}
    assert set(ROOMS) | {"__main__", "bootstrap"} <= names


def test_nobody_reaches_what_is_not_theirs_through_others() -> None:
    done = _lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def _lint_imports(where: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter with the project's rules on the packages that `where` finds first."""
    command = [require_tool("lint-imports"), "--no-logo", "--no-cache", "--config", str(ROOT / ".importlinter")]
    # PYTHONPATH comes before the editable installs.
    environment = {"PYTHONPATH": str(where), "PATH": str(Path(sys.executable).parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=where, env=environment, text=True, capture_output=True, check=False)


# ---- The rules bite: each breaks on a small tree made for it.


def _service(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "parley_chat"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


@pytest.mark.parametrize(
    ("file", "statement", "complaint"),
    [
        ("domain/turn.py", "import grpc", "domain may not import grpc"),
        ("domain/turn.py", "from parley_shared import status", "domain may not import parley_shared"),
        ("domain/turn.py", "from ..ports import turn_log", "domain may not import parley_chat.ports"),
        ("ports/turn_log.py", "import parley_chat.operations", "ports may not import parley_chat.operations"),
        ("operations/turn.py", "from parley_chat import adapters", "operations may not import parley_chat"),
        ("operations/turn.py", "from parley.chat.v1 import message_pb2", "operations may not import parley.chat.v1"),
        ("operations/turn.py", "import sqlalchemy", "operations may not import sqlalchemy"),
        ("servicers/chat.py", "import parley_chat.adapters.sql_turns", "servicers may not import parley_chat.adapters"),
        ("servicers/chat.py", "import sqlalchemy", "servicers may not import sqlalchemy"),
        (
            "adapters/sql_turns.py",
            "from parley_chat.operations import turn",
            "adapters may not import parley_chat.operations",
        ),
        ("adapters/sql_turns.py", "import parley_retrieval", "adapters may not import parley_retrieval"),
        (
            "adapters/sql_turns.py",
            "import sqlalchemy, redis",
            "one outside library, and this one imports redis, sqlalchemy",
        ),
        ("settings.py", "import parley_chat.domain", "settings may not import parley_chat.domain"),
    ],
)
def test_an_import_out_of_its_room_is_found(tmp_path: Path, file: str, statement: str, complaint: str) -> None:
    rooms = {f"{room}/__init__.py": "" for room in ("domain", "ports", "operations", "servicers", "adapters")}
    found = breaches(_service(tmp_path, {"__init__.py": "", **rooms, file: f"def late():\n    {statement}\n"}))
    assert len(found) == 1, found
    assert complaint in found[0]
    assert file in found[0]


def test_what_a_room_may_import_is_not_complained_about(tmp_path: Path) -> None:
    files = {
        "__init__.py": "",
        "__main__.py": "import parley_chat.bootstrap",
        "bootstrap.py": "import sqlalchemy, grpc, parley_chat.adapters.grpc_model, parley_chat.servicers",
        "domain/__init__.py": "",
        "domain/turn.py": "import dataclasses\nfrom . import errors",
        "domain/errors.py": "",
        "ports/__init__.py": "from parley_chat.domain import turn",
        "operations/__init__.py": "from parley_chat.domain.turn import Turn\nfrom ..ports import turn_log",
        "servicers/__init__.py": "import grpc\nfrom parley.chat.v1 import message_pb2\nimport parley_shared.status, parley_chat.operations",
        "adapters/grpc_model.py": "import grpc, parley.chat.v1.message_pb2, google.rpc.status_pb2\nimport parley_chat.ports",
    }
    assert breaches(_service(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("parley_chat.domain.one", "parley_chat.operations.one", "The rooms of a service import inward"),
        ("parley_retrieval.servicers.one", "parley_retrieval.adapters.one", "The rooms of a service import inward"),
        (
            "parley_inference.adapters.one",
            "parley_inference.operations.one",
            "An adapter serves ports and knows no use case",
        ),
        ("parley_chat.bootstrap", "parley_retrieval.bootstrap", "No service imports another"),
        ("parley_shared.one", "parley_chat.domain.one", "What is shared knows no service"),
        ("parley_client.one", "parley_shared.one", "A client knows the contracts and no service"),
        ("parley_cli.one", "parley_chat.bootstrap", "The command stands on the client"),
        ("parley_edge.one", "parley_chat.bootstrap", "The edge is made from the contracts and knows no service"),
    ],
)
def test_a_broken_contract_between_packages_is_named(tmp_path: Path, module: str, imported: str, contract: str) -> None:
    rooms = ("domain", "ports", "operations", "servicers", "adapters")
    modules = {f"{package}.one" for package in PACKAGES}
    modules |= {f"parley_{service}.{room}.one" for service in SERVICES for room in rooms}
    modules |= {f"parley_{service}.{name}" for service in SERVICES for name in ("__main__", "bootstrap", "migrate")}
    for name in modules:
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (parent for parent in path.parents if parent.is_relative_to(tmp_path) and parent != tmp_path):
            (folder / "__init__.py").touch()
        path.write_text(f"import {imported}\n" if name == module else "")
    done = _lint_imports(tmp_path)
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(line.startswith(contract) for line in broken), done.stdout
    assert imported in done.stdout
