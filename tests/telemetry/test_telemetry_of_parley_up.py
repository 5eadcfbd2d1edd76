"""What `parley up` does for telemetry: where figures are told, and that one setting has everything say more."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from parley_edge import process as envoy
from parley_edge.settings import EdgeSettings
from parley_local import home
from parley_local.plan import Plan, edge_environment, service_environment
from parley_local.settings import LocalSettings
from parley_shared.settings import Environment, ServiceSettings, metrics_variable

PROCESSES = ("chat", "inference", "retrieval", "edge")


def environments(folder: Path, **variables: str) -> tuple[Plan, dict[str, dict[str, str]]]:
    """The plan, and what each process gets."""
    ports = {f"PARLEY_{name}_PORT": "0" for name in ("EDGE", "CHAT", "INFERENCE", "RETRIEVAL")}
    given = {"PARLEY_HOME": str(folder), **ports, **variables}
    settings = LocalSettings.read(Environment(given), given)
    plan = Plan.of(settings)
    services = {each.name: service_environment(settings, plan, each, pretty=False) for each in plan.processes}
    return plan, {**services, "edge": edge_environment(settings, plan)}


def test_every_process_tells_its_figures_at_a_port_of_its_own_on_loopback(tmp_path: Path) -> None:
    plan, told = environments(tmp_path, PARLEY_HOST="0.0.0.0")
    assert set(plan.metrics) == set(PROCESSES)
    assert len({*plan.metrics.values(), *plan.addresses.values()}) == 9
    for process in PROCESSES:
        assert told[process][metrics_variable(process)] == plan.metrics[process]
        assert plan.metrics[process].startswith("127.0.0.1:")


def test_a_chosen_address_is_taken_and_none_is_when_they_are_switched_off(tmp_path: Path) -> None:
    plan, told = environments(tmp_path, PARLEY_CHAT_METRICS_ADDRESS="127.0.0.1:9464")
    assert told["chat"]["PARLEY_CHAT_METRICS_ADDRESS"] == plan.metrics["chat"] == "127.0.0.1:9464"
    plan, told = environments(tmp_path, PARLEY_UP_METRICS="off", PARLEY_CHAT_METRICS_ADDRESS="127.0.0.1:9464")
    assert plan.metrics == {}
    assert {told[process][metrics_variable(process)] for process in PROCESSES} == {""}


def test_prometheus_is_told_where_they_are_until_parley_ends(tmp_path: Path) -> None:
    home.write_targets(tmp_path, {"chat": "127.0.0.1:1", "chat-2": "127.0.0.1:2"})
    file = tmp_path / home.TARGETS_FILE
    assert json.loads(file.read_text()) == [
        {"targets": ["127.0.0.1:1"], "labels": {"job": "parley-chat", "process": "chat"}},
        {"targets": ["127.0.0.1:2"], "labels": {"job": "parley-chat", "process": "chat-2"}},
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    home.remove_ready(tmp_path)
    assert not file.exists()


@pytest.mark.parametrize(("level", "of_envoy"), [("debug", "info"), ("info", "error"), ("error", "error")])
def test_one_setting_has_the_services_and_envoy_say_more(tmp_path: Path, level: str, of_envoy: str) -> None:
    _, told = environments(tmp_path, PARLEY_LOG_LEVEL=level)
    for service in ("chat", "inference", "retrieval"):
        environment = Environment(told[service])
        assert ServiceSettings.read(environment, service=service, default_port=0).log_level == level
    edge = EdgeSettings.read(Environment(told["edge"]))
    command = envoy.command(tmp_path / "envoy.yaml", log_level=edge.log_level)
    assert command[command.index("--log-level") + 1] == of_envoy
