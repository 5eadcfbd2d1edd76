"""The settings: each part of Parley that is installed reads its own, as it would at its start; and variables that nobody reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from parley_cli.checks.finding import Finding

_READERS = {
    "up": ("parley_local.settings", "LocalSettings"),
    "edge": ("parley_edge.settings", "EdgeSettings"),
    "chat": ("parley_chat.settings", "ChatSettings"),
    "inference": ("parley_inference.settings", "InferenceSettings"),
    "retrieval": ("parley_retrieval.settings", "RetrievalSettings"),
}
# `parley up` puts real ports in the place of these before the edge reads them.
_FREE_PORTS = {"PARLEY_EDGE_PORT", "PARLEY_EDGE_ADMIN_PORT"}
_READ_ELSEWHERE = {"PARLEY_ADDRESS", "PARLEY_TOKEN", "PARLEY_EDGE_PAGE", "PARLEY_EDGE_ACCESS_LOG", "PARLEY_HOST"}


@dataclass
class Configuration:
    """What the settings came to."""

    settings: dict[str, Any] = field(default_factory=dict)
    """The settings that could be read, by part."""
    findings: list[Finding] = field(default_factory=list)
    """What was found."""


class _Asked(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def check_configuration(variables: Mapping[str, str]) -> Configuration:
    """Reads the settings of every installed part from the variables."""
    result = Configuration()
    try:
        shared = import_module("parley_shared.settings")
    except ModuleNotFoundError:
        result.findings.append(Finding("settings", "ok", "no service is installed that would have any"))
        return result
    asked: set[str] = set()
    complete = True
    wrong: dict[str, str] = {}
    for part, (module, name) in _READERS.items():
        try:
            reader = getattr(import_module(module), name)
        except ModuleNotFoundError:
            complete = False
            continue
        environment = _Asked(_without_free_ports(variables) if part == "edge" else variables)
        try:
            result.settings[part] = reader.read(shared.Environment(environment))
        except shared.SettingsError as error:
            # Several parts read the same variable: it is wrong once. Those behind it were not asked for.
            wrong.setdefault(error.variable or part, str(error))
            complete = False
        asked |= environment.names
    result.findings += [Finding("settings", "fail", words, f"mend {name}") for name, words in wrong.items()]
    unread = _unread(variables, asked) if complete else []
    result.findings += unread
    if not wrong and not unread:
        given = sum(name in asked for name in variables if name.startswith("PARLEY_"))
        words = f"{given} PARLEY_* {'variable' if given == 1 else 'variables'} set" if given else "all defaults"
        result.findings.append(Finding("settings", "ok", words))
    return result


def page_folder(configuration: Configuration) -> Path | None:
    """Where the edge will take the page from."""
    edge, local = configuration.settings.get("edge"), configuration.settings.get("up")
    if edge is not None and edge.page is not None:
        return Path(edge.page)
    if local is not None and local.checkout is not None and (local.checkout / "web" / "dist" / "index.html").is_file():
        return Path(local.checkout) / "web" / "dist"
    return None


def _without_free_ports(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not (name in _FREE_PORTS and value.strip() == "0")}


def _unread(variables: Mapping[str, str], asked: set[str]) -> list[Finding]:
    findings = []
    for name in sorted(variables):
        if not name.startswith("PARLEY_") or name.startswith("PARLEY_TEST_") or name in asked | _READ_ELSEWHERE:
            continue
        near = difflib.get_close_matches(name, asked, n=1, cutoff=0.8)
        mending = f"is {near[0]} meant?" if near else f"unset {name}"
        findings.append(Finding("settings", "warn", f"{name} is set, and nothing reads it", mending))
    return findings
