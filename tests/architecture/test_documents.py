"""What the documents name is there: files, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from parley_cli.app import app
from parley_testing.source import tracked_files
from parley_testing.tools import ROOT
from typer.main import get_command

DOCUMENTS = [path for path in tracked_files() if path.suffix == ".md"]
FOLDERS = (
    "protos/",
    "gen/",
    "services/",
    "clients/",
    "deploy/",
    "tests/",
    "docs/",
    "web/",
    "benches/",
    "requirements/",
)

every_document = pytest.mark.parametrize("document", [pytest.param(path, id=str(path)) for path in DOCUMENTS])


def missing_paths(text: str, root: Path) -> list[str]:
    """Files and folders of the project that a text names in backticks, and that are not there."""
    named = [
        name
        for name in re.findall(r"`([^`\s]+)`", text)
        if name.startswith(FOLDERS) and not re.search(r"[<>*{}…$]", name)
    ]
    return sorted({name for name in named if not (root / name.split(":")[0]).exists()})


def broken_links(text: str, folder: Path) -> list[str]:
    """Relative links of a text that lead nowhere."""
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in links if not re.match(r"[a-z]+:|#", link) and not (folder / link.split("#")[0]).exists()]


def unknown_words(text: str, command: str, known: set[str]) -> list[str]:
    """Words after a command, in shell code, that the command does not know: `make tset`."""
    shell = re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    lines = [line.strip() for code in [*shell, *inline] for line in code.splitlines()]
    pattern = re.compile(rf"(?:^|[(;&|] ?)(?:[A-Z_]+=\S+ )*(?:[\w./]*/)?{command} (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]+)")
    return sorted({match[1] for line in lines for match in pattern.finditer(line) if match[1] not in known})


@every_document
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    # Built or made at a run, so not there in a fresh clone.
    made = {"web/dist"}
    assert set(missing_paths((ROOT / document).read_text(encoding="utf-8"), ROOT)) - made == set()


@every_document
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    path = ROOT / document
    assert broken_links(path.read_text(encoding="utf-8"), path.parent) == []


@every_document
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert unknown_words(text, "make", targets) == []
    commands = set(getattr(get_command(app), "commands", ()))
    assert {"up", "ask"} <= commands
    assert unknown_words(text, "parley", commands) == []


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    assert missing_paths("see `docs/nowhere.md` and `docs/<name>.md`", tmp_path) == ["docs/nowhere.md"]
    assert broken_links("[a](b.md) [c](https://example.com) [d](#e)", tmp_path) == ["b.md"]
    assert unknown_words("run `make tset` or\n```bash\nFOO=1 make test\n```\n", "make", {"test"}) == ["tset"]
    assert unknown_words("to make things, `.venv/bin/parley aks`", "parley", {"ask"}) == ["aks"]
