"""The names of metrics, attributes and stages: the code has what is registered, and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml
from parley_shared.settings import Environment, metrics_address, metrics_variable
from parley_testing import telemetry_registry as registry
from parley_testing.tools import ROOT, require_tool

_KINDS = {"Histogram": "histogram", "Counter": "counter", "Gauge": "amount"}
_NAME = re.compile(r"(parley|gen_ai|rpc|user|error|exception|cpu)(\.[a-z_]+)+")
# Loggers, files and the like, and metrics by their own names.
_NO_ATTRIBUTES = frozenset({"parley.toml"})
_OF_PROMETHEUS = re.compile(r"(?<![:\w])(?:envoy_|parley_|gen_ai_|rpc_|process_)[a-z0-9_]+\b(?!\s*[!=]~?)")
_UNIT_ENDINGS = {"s": "_seconds", "By": "_bytes", "{token}/s": "_per_second"}


@cache
def modules() -> list[tuple[str, ast.Module]]:
    """The service, or "shared", and the tree of each module that may name something."""
    files = {file: file.read_text(encoding="utf-8") for file in sorted(ROOT.glob("services/*/parley_*/**/*.py"))}
    words = ('"chat.', "parley_shared.metering", "set_attribute", "stage(", '": ', '["')
    return [
        (file.relative_to(ROOT).parts[1], ast.parse(text))
        for file, text in files.items()
        if any(word in text for word in words) and "migrations" not in file.parts
    ]


def instruments() -> dict[str, tuple[str, str, str, str]]:
    """The service, kind, unit and description of each metric of the code, by its name."""
    found = {}
    for service, tree in modules():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KINDS):
                continue
            told = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if len(told) < 3:
                continue
            name, unit, description = map(str, told[:3])
            kinds = [each.attr.lower() for each in node.args if isinstance(each, ast.Attribute)]
            found[name] = service, (kinds or [_KINDS[node.func.id]])[0], unit, description
    return found


def test_the_metrics_of_the_code_are_those_that_are_registered() -> None:
    of_code = instruments()
    assert set(of_code) == set(registry.metrics())
    for name, metric in registry.metrics().items():
        service, kind, unit, description = of_code[name]
        services = ("chat", "inference", "retrieval") if service == "shared" else (service,)
        assert (metric.services, metric.kind, metric.unit, metric.description) == (services, kind, unit, description)


def test_names_in_prometheus_follow_from_kind_and_unit() -> None:
    for metric in registry.metrics().values():
        ending = _UNIT_ENDINGS.get(metric.unit, "")
        name = metric.name.replace(".", "_")
        name += "" if name.endswith(ending) else ending
        assert metric.prometheus == name + ("_total" if metric.kind in {"counter", "total"} else "")


def test_the_attributes_of_the_code_are_registered() -> None:
    used = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            keys = node.keys if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "set_attribute"
            ):
                keys = node.args[:1]
            used |= {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    named = {name for name in used if _NAME.fullmatch(name)} - _NO_ATTRIBUTES
    assert named == set(registry.attributes())


def test_attributes_of_metrics_are_registered_and_few() -> None:
    used = {name for metric in registry.metrics().values() for name in metric.attributes}
    assert used == {name for name, row in registry.attributes().items() if "only" not in row}
    for name in used:
        row = registry.attributes()[name]
        assert ("values" in row) != ("bound" in row), f"{name} says neither its values nor what keeps them few"
    assert not {name for name in used if re.search(r"user|session|turn\.id|email|text|prompt", name)}


def test_the_stages_of_the_code_are_registered() -> None:
    used = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used |= set(re.findall(r"^(?:chat|retrieval)\.[a-z_]+(?:\.[a-z_]+)*$", node.value))
    named = {name for name in registry.spans() if not name.startswith("chat.self_test.")}
    assert named <= used
    opened = {
        node.args[0].value
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "stage"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert opened <= named


def test_the_guide_has_every_metric() -> None:
    guide = (ROOT / "docs" / "guide" / "telemetry.md").read_text(encoding="utf-8")
    assert [name for name in registry.metrics() if f"`{name}`" not in guide] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yml", "recording.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "config", "prometheus.yml"],
    ],
)
def test_prometheus_own_tool_takes_the_rules_and_what_they_are_to_do(arguments: list[str]) -> None:
    command = [require_tool("promtool"), *arguments]
    done = subprocess.run(command, cwd=registry.FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do_and_how_bad_it_is() -> None:
    for rule in registry.rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert len(rule["annotations"]["runbook"].split()) >= 10
            assert rule["annotations"]["summary"]


def test_queries_ask_for_metrics_that_there_are() -> None:
    own = {series for metric in registry.metrics().values() for series in metric.series}
    labels = {label for metric in registry.metrics().values() for label in metric.labels}
    asked = [query for panel in registry.panels() for query in panel.queries]
    for query in [*asked, *(rule["expr"] for rule in registry.rules())]:
        names = set(_OF_PROMETHEUS.findall(re.sub(r'"[^"]*"', '""', query)))
        assert {name for name in names if not name.startswith("envoy_")} - labels <= own, query


@pytest.mark.parametrize("name", ["parley-overview", "parley-services", "parley-cost", "parley-edge"])
def test_a_dashboard_is_what_grafana_imports(name: str) -> None:
    board = registry.dashboards()[name]
    assert board["uid"] == name
    assert board["schemaVersion"] >= 39
    assert board["title"]
    assert "id" not in board  # Grafana gives it
    assert next(each["name"] for each in board["templating"]["list"]) == "datasource"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & places, f"{panel['title']} lies on another panel"
        places |= cells
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["expr"] and target["refId"] for target in panel["targets"])


def test_every_metric_that_users_notice_is_on_a_dashboard() -> None:
    asked = " ".join(query for panel in registry.panels() for query in panel.queries)
    missing = [
        metric.name for metric in registry.metrics().values() if not any(each in asked for each in metric.series)
    ]
    assert missing == []


def test_the_rules_that_prometheus_reads_are_there() -> None:
    config = (registry.FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    for name in ("alerts.yml", "recording.yml"):
        assert name in config
        assert Path(registry.FOLDER / name).is_file()


def test_containers_tell_their_figures_where_prometheus_looks_and_nowhere_else() -> None:
    deploy = registry.FOLDER.parent
    layer = yaml.safe_load((deploy / "compose" / "metrics.yaml").read_text(encoding="utf-8"))
    config = yaml.safe_load(layer["configs"]["prometheus"]["content"])
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    for process in ("edge", "chat", "inference", "retrieval"):
        variable = metrics_variable(process)
        told = Environment(layer["services"][process]["environment"])
        address = metrics_address(told, process)
        assert address is not None
        assert targets[f"parley-{process}"] == [f"{process}:{address[1]}"]
        assert "ports" not in layer["services"][process]
        component = (deploy / "kubernetes" / "metrics" / "kustomization.yaml").read_text(encoding="utf-8")
        assert f'/data/{variable}, value: "0.0.0.0:9464"' in component
