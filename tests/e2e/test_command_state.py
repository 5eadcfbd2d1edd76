"""`parley status` and `parley doctor`, with a Parley that runs and with one that does not."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from parley_testing.command import run
from parley_testing.mesh import Mesh
from parley_testing.tools import require_tool


async def test_status_shows_every_service_and_that_no_provider_is_configured(mesh: Mesh) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    ended = await run(home, "status")
    assert ended.code == 0, ended.err
    for service in ("chat", "inference", "retrieval"):
        # The table of traffic, further below, names them too.
        line = next(line for line in ended.out.splitlines() if line.startswith(service))
        assert line.split()[1] == "serving"
    assert f"Parley at {mesh.base_url} is serving." in ended.out
    assert "offline model answers" in ended.out

    state = json.loads((await run(home, "status", "--json")).out)
    assert (state["state"], state["offline"]) == ("SERVING_STATE_SERVING", True)
    assert [each["service"] for each in state["services"]] == ["chat", "inference", "retrieval"]


async def test_status_takes_an_address_and_the_local_user_when_both_are_of_this_machine(
    mesh: Mesh, tmp_path: Path
) -> None:
    ended = await run({"PARLEY_HOME": str(mesh.home)}, "status", "--address", mesh.base_url)
    assert ended.code == 0
    ended = await run({"PARLEY_HOME": str(tmp_path)}, "status", "--address", mesh.base_url)
    assert ended.code == 1
    assert "There is no token" in ended.err


async def test_the_doctor_finds_a_healthy_parley_healthy(mesh: Mesh) -> None:
    require_tool("envoy")
    ended = await run({"PARLEY_HOME": str(mesh.home)}, "doctor", "--json")
    findings = {each["check"]: each for each in json.loads(ended.out)}
    assert ended.code == 0, ended.out
    assert findings["parley"]["words"] == f"it runs and answers at {mesh.base_url}"
    assert findings["keys"]["state"] == "ok"
    assert findings["envoy"]["words"].startswith("1.40.")
    assert not [each for each in findings.values() if each["state"] == "fail"]


async def test_the_doctor_names_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        key = tmp_path / "home" / "keys" / "signing.pem"
        key.parent.mkdir(parents=True)
        key.write_text("secret")
        key.chmod(0o644)
        variables = {
            "PARLEY_HOME": str(tmp_path / "home"),
            "PARLEY_EDGE_PORT": str(port),
            "PARLEY_CHAT_PORT": "0",
            "PARLEY_INFERENCE_PORT": "0",
            "PARLEY_RETRIEVAL_PORT": "0",
            "PARLEY_CHAT_HISTORY_TOKEN": "100",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{_closed_port()}/v1",
        }
        ended = await run(variables, "doctor")
    assert ended.code == 1
    lines = ended.out.splitlines()

    def line(*parts: str) -> str:
        return next((line for line in lines if all(part in line for part in parts)), f"nothing of {parts} in {lines}")

    assert f"Port {port} is taken" in line("fail", "ports")
    assert "chmod 600" in line("fail", "signing.pem")
    assert "Connection refused" in line("fail", "OPENAI_BASE_URL")
    assert "PARLEY_CHAT_HISTORY_TOKENS meant?" in line("warn", "PARLEY_CHAT_HISTORY_TOKEN is set")
    assert "not running" in line("parley ")


async def test_the_doctor_reads_the_settings_as_the_services_would(tmp_path: Path) -> None:
    variables = {"PARLEY_HOME": str(tmp_path), "PARLEY_CHAT_PASSAGES": "many", "PARLEY_INFERENCE_MODEL": "gpt"}
    ended = await run(variables, "doctor", "--json")
    assert ended.code == 1
    wrong = [each["words"] for each in json.loads(ended.out) if each["check"] == "settings"]
    assert any("PARLEY_CHAT_PASSAGES must be a whole number" in words for words in wrong)
    assert any("PARLEY_INFERENCE_MODEL names a model and no provider" in words for words in wrong)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
