"""What `parley doctor` finds."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from parley_cli.checks.configuration import check_configuration
from parley_cli.checks.finding import Finding
from parley_cli.checks.home import check_home
from parley_cli.checks.network import check_ports, check_providers, check_running
from parley_inference.settings import InferenceSettings
from parley_local.settings import LocalSettings
from parley_shared.settings import Environment


def found(findings: list[Finding], check: str) -> list[tuple[str, str]]:
    return [(finding.state, finding.words) for finding in findings if finding.check == check]


def test_keys_that_others_can_read_are_a_failure_and_public_keys_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARLEY_CHAT_KEYS_FOLDER", raising=False)
    keys = tmp_path / "keys"
    keys.mkdir()
    for name, mode in [("signing.pem", 0o600), ("jwks.json", 0o644)]:
        (keys / name).write_text("{}")
        (keys / name).chmod(mode)
    assert found(list(check_home(tmp_path)), "keys")[0][0] == "ok"
    (keys / "signing.pem").chmod(0o640)
    ((state, words),) = found(list(check_home(tmp_path)), "keys")
    assert state == "fail"
    assert "mode 0640" in words


def test_a_home_that_is_a_file_or_open_to_everybody_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert found(list(check_home(file)), "home")[0][0] == "fail"
    tmp_path.chmod(0o777)
    assert found(list(check_home(tmp_path)), "home")[0][0] == "fail"
    tmp_path.chmod(0o700)
    assert found(list(check_home(tmp_path / "not" / "there")), "home")[0][0] == "ok"


def test_settings_that_a_service_would_refuse_are_failures_in_its_words(tmp_path: Path) -> None:
    variables = {"PARLEY_HOME": str(tmp_path), "PARLEY_RETRIEVAL_SAMPLE_CORPUS": "/not/there", "PARLEY_CHAT_PORT": "x"}
    configuration = check_configuration(variables)
    words = [words for state, words in found(configuration.findings, "settings") if state == "fail"]
    assert len(words) == 2
    assert any("PARLEY_CHAT_PORT must be a whole number" in each for each in words)
    assert any("/not/there" in each for each in words)


def test_a_misspelt_setting_is_found_with_the_one_that_is_meant(tmp_path: Path) -> None:
    configuration = check_configuration({"PARLEY_HOME": str(tmp_path), "PARLEY_EGDE_PORT": "1", "PARLEY_XYZ": "1"})
    warnings = {finding.words.split()[0]: finding.mending for finding in configuration.findings}
    assert warnings == {"PARLEY_EGDE_PORT": "is PARLEY_EDGE_PORT meant?", "PARLEY_XYZ": "unset PARLEY_XYZ"}


def test_free_ports_are_no_wrong_setting_of_the_edge(tmp_path: Path) -> None:
    configuration = check_configuration({"PARLEY_HOME": str(tmp_path), "PARLEY_EDGE_PORT": "0"})
    assert [finding.state for finding in configuration.findings] == ["ok"]


def test_no_setting_that_is_secret_is_shown(tmp_path: Path) -> None:
    variables = {"PARLEY_HOME": str(tmp_path), "OPENAI_API_KEY": "sk hunter2", "OPENAI_BASE_URL": "http://u:hunter2@h"}
    assert "hunter2" not in repr(check_configuration(variables).findings)


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        variables = {"PARLEY_HOME": str(tmp_path), "PARLEY_EDGE_PORT": str(port)}
        variables |= {f"PARLEY_{name}_PORT": "0" for name in ("CHAT", "INFERENCE", "RETRIEVAL")}
        local = LocalSettings.read(Environment(variables), variables)
        (finding,) = check_ports(local, running=False)
        assert finding.state == "fail"
        assert finding.words.startswith(f"Port {port} is taken")
        assert "PARLEY_EDGE_PORT" in finding.mending
        (finding,) = check_ports(local, running=True)
        assert finding.state == "ok"


def test_a_ready_file_that_a_killed_parley_left_is_told(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "ready.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "processes": {"up": gone.pid}}))
    running, finding = check_running(tmp_path)
    assert (running, finding.state) == (False, "warn")


def test_providers_are_tried_only_when_they_are_configured(tmp_path: Path) -> None:
    def findings(**variables: str) -> list[Finding]:
        given = {"PARLEY_HOME": str(tmp_path), **variables}
        return list(check_providers(InferenceSettings.read(Environment(given))))

    assert [finding.state for finding in findings()] == ["ok"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [finding.state for finding in findings(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1")] == ["ok"]
    (finding,) = findings(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1")
    assert finding.state == "fail"
    assert "Connection refused" in finding.words


def test_providers_of_the_configuration_file_are_tried_too_and_its_mistakes_told(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"

    def findings(text: str) -> list[Finding]:
        file.write_text(text)
        return list(check_providers(InferenceSettings.read(Environment({"PARLEY_HOME": str(tmp_path)}))))

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        (finding,) = findings(f'[providers.house]\nkind = "openai"\nbase_url = "{address}"\n')
    assert (finding.state, finding.words.partition(":")[0]) == ("ok", "providers.house")
    (finding,) = findings('[providers.house]\nkind = "oops"\n')
    assert finding.state == "fail"
    assert "providers.house.kind" in finding.words
