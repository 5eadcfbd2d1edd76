"""The table of settings in chat's README is true: every variable, its default and its bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from parley_chat.settings import DEFAULT_PORT, SERVICE, ChatSettings
from parley_shared.settings import Environment, ServiceSettings, SettingsError, describe
from parley_testing.tools import ROOT

_ROW = re.compile(
    r"\| `(?P<variable>PARLEY_\w+)` \|(?: `(?P<default>[^`]+)` \|| \|)(?: (?P<least>[\d.]+) to (?P<most>[\d.]+) \|| \|) (?P<words>.+) \|"
)


@dataclass(frozen=True)
class Row:
    default: str
    least: str | None
    most: str | None


class Recorded(Mapping[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


def table() -> dict[str, Row]:
    readme = (ROOT / "services" / "chat" / "README.md").read_text()
    settings = readme.partition("## Settings")[2].partition("\n## ")[0]
    rows = {
        found["variable"]: Row(found["default"] or "", found["least"], found["most"])
        for found in _ROW.finditer(settings)
    }
    assert len(rows) == settings.count("| `PARLEY_"), "every row of the table is understood"
    return rows


def test_the_table_names_exactly_the_variables_that_are_read() -> None:
    everything, common = Recorded({}), Recorded({})
    ChatSettings.read(Environment(everything))
    ServiceSettings.read(Environment(common), service=SERVICE, default_port=DEFAULT_PORT)
    assert set(table()) == (everything.asked - common.asked) | {"PARLEY_CHAT_PORT", "PARLEY_CHAT_METRICS_ADDRESS"}


def test_the_table_gives_the_defaults(tmp_path: Path) -> None:
    home = {"PARLEY_HOME": str(tmp_path)}
    written = {variable: row.default.replace("<home>", str(tmp_path)) for variable, row in table().items()}
    assert ChatSettings.read(Environment({**home, **written})) == ChatSettings.read(Environment(home))


@pytest.mark.parametrize("variable", sorted(table()))
def test_the_table_gives_the_bounds(variable: str) -> None:
    row = table()[variable]
    if row.least is None or row.most is None:
        return  # A text, a path or a flag.
    step = Decimal("0.01") if "." in row.least else Decimal(1)
    for bound, outside in ((row.least, Decimal(row.least) - step), (row.most, Decimal(row.most) + step)):
        ChatSettings.read(Environment({variable: bound}))
        with pytest.raises(SettingsError) as refused:
            ChatSettings.read(Environment({variable: str(outside)}))
        assert refused.value.variable == variable


def test_whatever_must_be_a_number_has_its_bounds_in_the_table() -> None:
    for variable, row in table().items():
        if row.default.isdigit():
            assert row.least is not None, variable
        with_words = Environment({variable: "some words"})
        if row.least is not None or row.default == "true":
            with pytest.raises(SettingsError):
                ChatSettings.read(with_words)


def test_a_password_in_the_database_url_is_not_shown() -> None:
    settings = ChatSettings.read(Environment({"PARLEY_CHAT_DATABASE_URL": "postgresql://ada:hunter2@db/chat"}))
    assert "hunter2" not in "\n".join(describe(settings))
    assert "hunter2" not in repr(settings)
    assert "hunter2" in settings.database_url
