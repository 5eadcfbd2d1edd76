"""The registry of names in deploy/telemetry, as tests read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from parley_testing.tools import ROOT

FOLDER = ROOT / "deploy" / "telemetry"


@dataclass(frozen=True)
class Metric:
    """A registered metric."""

    name: str
    services: tuple[str, ...]
    kind: str
    unit: str
    prometheus: str
    description: str
    attributes: frozenset[str]
    seldom: str
    """Why an ordinary run may not have it; "" when every run does."""

    @property
    def series(self) -> frozenset[str]:
        """The names of its series in Prometheus."""
        if self.kind == "histogram":
            return frozenset(f"{self.prometheus}_{part}" for part in ("bucket", "sum", "count"))
        return frozenset({self.prometheus})

    @property
    def labels(self) -> frozenset[str]:
        """Its labels in Prometheus."""
        own = {name.replace(".", "_") for name in self.attributes}
        return frozenset(own | ({"le"} if self.kind == "histogram" else set()))


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard."""

    dashboard: str
    title: str
    queries: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title}"


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / "registry" / name).read_text(encoding="utf-8"))


@cache
def metrics() -> dict[str, Metric]:
    """Every metric, by its name."""
    return {
        row["name"]: Metric(
            row["name"],
            tuple(row["services"]),
            row["kind"],
            row["unit"],
            row["prometheus"],
            row["description"],
            frozenset(row["attributes"]),
            row.get("seldom", ""),
        )
        for row in _read("metrics.yaml")
    }


@cache
def attributes() -> dict[str, dict[str, Any]]:
    """Every attribute, by its name."""
    return {row["name"]: row for row in _read("attributes.yaml")}


@cache
def spans() -> dict[str, dict[str, Any]]:
    """Every stage, by its name."""
    return {row["name"]: row for row in _read("spans.yaml")}


def dashboards() -> dict[str, Any]:
    """Every dashboard, by the name of its file."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in _files("dashboards/*.json")}


def panels() -> Iterator[Panel]:
    """The panels that ask something."""
    for name, board in dashboards().items():
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield Panel(name, panel["title"], tuple(_query(each["expr"]) for each in panel["targets"]))


def rules() -> list[dict[str, Any]]:
    """Every rule of Prometheus."""
    files = [yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")) for name in ("alerts.yml", "recording.yml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def _query(expression: str) -> str:
    """As Grafana would ask it, with all services chosen."""
    return expression.replace("$__rate_interval", "1m").replace("$job", ".*")


def _files(pattern: str) -> list[Path]:
    return sorted(FOLDER.glob(pattern))
