"""What a running Parley tells a real Prometheus: registered names, nothing of anybody, and an answer to every query of the dashboards."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from parley_testing import telemetry_registry as registry
from parley_testing.mesh import Mesh
from parley_testing.tools import require_tool

_SERIES = re.compile(r"^([a-z_A-Z:][\w:]*)(?:\{(.*)\})? \S+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="')
_OWN = ("parley_", "gen_ai_", "rpc_", "process_")


@pytest.fixture(scope="module")
def used(mesh: Mesh) -> str:
    """Parley after a user has used it; gives the user's id."""
    user = mesh.sign_up()
    headers = {"authorization": user.authorization}
    wrong = {"email": user.email, "password": "not the password"}
    assert mesh.request("POST", "/api/v2/identity/sign-in", wrong)[0] == 401
    status, body = mesh.request("POST", "/api/v2/chat/sessions", {"title": "birds"}, headers=headers)
    assert status == 200, body
    for message, route in (("Hello, what can you do?", "ROUTE_STANDARD"), ("How do I start Parley?", "ROUTE_ENHANCED")):
        asked = {"message": message, "route": route, "new_session": {}}
        status, body = mesh.request("POST", "/api/v2/chat/send", asked, headers=headers)
        assert status == 200, body
    return user.user_id


def get(address: str, path: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def scrape(mesh: Mesh, process: str) -> str:
    status, text = get(mesh.facts["metrics"][process], "/metrics")
    assert status == 200
    return text


def series(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """The name and the labels of each."""
    for name, labels in _SERIES.findall(text):
        yield name, frozenset(_LABEL.findall(labels))


def test_every_name_that_is_told_is_registered_and_every_registered_one_is_told(mesh: Mesh, used: str) -> None:
    by_series = {name: metric for metric in registry.metrics().values() for name in metric.series}
    for service in ("chat", "inference", "retrieval"):
        text = scrape(mesh, service)
        told = [(name, labels) for name, labels in series(text) if name.startswith(_OWN)]
        for name, labels in told:
            metric = by_series[name.removesuffix("_created")] if name.endswith("_created") else by_series[name]
            assert service in metric.services, name
            assert labels <= metric.labels, name
        expected = {
            metric.name for metric in registry.metrics().values() if service in metric.services and not metric.seldom
        }
        seen = {by_series[name].name for name, _ in told if name in by_series}
        missing = expected - seen
        # Stages are of chat and of retrieval; a job of ingestion is of who adds files.
        assert missing <= {"parley.stage.duration", *_OF_JOBS}, service
        assert used not in text
        assert "@" not in text


_OF_JOBS = {"parley.retrieval.jobs", "parley.retrieval.job.stage.duration", "parley.retrieval.chunks"}


def test_the_edge_tells_its_figures_and_nothing_else_of_its_admin_interface(mesh: Mesh, used: str) -> None:
    address = mesh.facts["metrics"]["edge"]
    assert "envoy_http_downstream_rq_total{" in scrape(mesh, "edge")
    for path in ("/", "/stats", "/ready", "/config_dump", "/quitquitquit", "/metrics/../config_dump", "/metricsx"):
        assert get(address, path)[0] in {400, 404}, path
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("POST", "/metrics")
    assert connection.getresponse().status == 404
    connection.close()


def test_figures_are_not_reachable_through_the_door(mesh: Mesh, used: str) -> None:
    for path in ("/metrics", "/stats/prometheus", "/api/v2/metrics"):
        status, body = mesh.request("GET", path)
        assert "rpc_server_call_duration" not in str(body)
        assert "envoy_http" not in str(body), (path, status)


class Prometheus:
    """A real one, that watches the mesh."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.address = f"127.0.0.1:{port}"
        self.process = process
        self.log = log

    def query(self, expression: str) -> Any:
        """The result; AssertionError with Prometheus' own words when it takes offence."""
        status, body = get(self.address, f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        told = json.loads(body)
        assert (status, told["status"]) == (200, "success"), f"{expression}: {body}"
        return told["data"]["result"]

    def wait_for(self, expression: str, value: str) -> None:
        """Until the only result of the expression is the value."""
        end = time.monotonic() + 90
        found: Any = None
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(self.log.read_text())
            try:
                found = self.query(expression)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                found = "it does not answer yet"
            else:
                if [each["value"][1] for each in found] == [value]:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{expression} is {found}")


@contextmanager
def prometheus(mesh: Mesh, folder: Path) -> Iterator[Prometheus]:
    """Scrapes the mesh every few seconds, with our rules."""
    config = {
        "global": {"scrape_interval": "3s", "evaluation_interval": "3s"},
        "rule_files": [str(registry.FOLDER / "alerts.yml"), str(registry.FOLDER / "recording.yml")],
        "scrape_configs": [
            {"job_name": "parley", "file_sd_configs": [{"files": [str(mesh.home / "prometheus-targets.json")]}]}
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "prometheus.log"
    command = [
        require_tool("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        yield Prometheus(port, process, log)
    finally:
        process.terminate()
        process.wait(30)


def test_a_real_prometheus_scrapes_all_of_it_and_answers_every_query(mesh: Mesh, used: str, tmp_path: Path) -> None:
    with prometheus(mesh, tmp_path) as running:
        running.wait_for('count(up{job=~"parley-(chat|inference|retrieval|edge)"} == 1)', "4")
        running.wait_for("count(count by (job) (rpc_server_call_duration_seconds_count))", "3")
        names = {each["metric"]["__name__"] for each in running.query('{job=~"parley-.*"}')}
        seldom = {name for metric in registry.metrics().values() if metric.seldom for name in metric.series}
        seldom |= {name for metric in registry.metrics().values() if metric.name in _OF_JOBS for name in metric.series}
        for panel in registry.panels():
            for query in panel.queries:
                running.query(query)
                asked = set(re.findall(r"\b(envoy_[a-z_]+)(?=\{|\)|\[)", re.sub(r"by \([^)]*\)", "", query)))
                asked |= {name for metric in registry.metrics().values() for name in metric.series if name in query}
                assert asked - names - seldom == set(), str(panel)
        for rule in registry.rules():
            running.query(rule["expr"])
        assert running.query('sum(parley_chat_turns_total{parley_turn_outcome="done"}) >= 2'), "two turns were done"
        assert running.query('ALERTS{alertname="ParleyDown"}') == []
