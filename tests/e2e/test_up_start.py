"""`parley up`, from the first line to `ready`: what it says, what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh


def ended(mesh: Mesh) -> int:
    """The exit code of a Parley that ends by itself."""
    try:
        return mesh.process.wait(60)
    finally:
        mesh.stop()


def test_it_says_where_it_is_and_who_can_sign_in_and_then_that_it_is_ready(mesh: Mesh) -> None:
    lines = mesh.logs().splitlines()
    assert lines.count(f"ready {mesh.base_url}") == 1
    user = json.loads((mesh.home / "keys" / "local-user.json").read_text())
    assert any(user["email"] in line for line in lines)
    assert user["password"] not in mesh.logs()
    status, body = mesh.request("POST", "/api/v2/identity/sign-in", {key: user[key] for key in ("email", "password")})
    assert (status, json.loads(body)["user"]["user_id"]) == (200, user["user_id"])


def test_it_tells_a_first_call_that_names_the_address_and_the_home(mesh: Mesh) -> None:
    (line,) = [line for line in mesh.logs().splitlines() if "grpcurl -plaintext" in line]
    assert f"{mesh.grpc_address} parley.chat.v1.ChatService/StreamReply" in line
    assert f"PARLEY_HOME={mesh.home}" in line


def test_ready_json_tells_addresses_and_processes_and_only_to_its_owner(mesh: Mesh) -> None:
    assert stat.S_IMODE(mesh.ready_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(mesh.home.stat().st_mode) == 0o700
    assert set(mesh.facts["addresses"]) == {"edge", "edge_admin", "chat", "inference", "retrieval"}
    assert mesh.pids["up"] == mesh.process.pid
    for name, pid in mesh.pids.items():
        os.kill(pid, 0)
        if name != "up":
            assert os.getpgid(pid) == pid, f"Ctrl-C in a terminal reaches {name} past parley up"


def test_every_child_speaks_under_its_name(mesh: Mesh) -> None:
    spoken = {line.partition(" | ")[0].strip() for line in mesh.logs().splitlines() if " | " in line}
    assert {"chat", "inference", "retrieval"} <= spoken


def test_nothing_but_the_edge_is_reachable_from_other_machines(start_mesh: Callable[..., Mesh]) -> None:
    mesh = start_mesh({"PARLEY_HOST": "0.0.0.0"})
    own = {mesh.address(name).rpartition(":")[2] for name in ("chat", "inference", "retrieval", "edge_admin")}
    listening = [row.split()[1] for row in Path("/proc/net/tcp").read_text().splitlines()[1:] if row.split()[3] == "0A"]
    exposed = {int(address.rpartition(":")[2], 16) for address in listening if address.startswith("00000000:")}
    assert int(mesh.grpc_address.rpartition(":")[2]) in exposed
    assert not exposed & {int(port) for port in own}
    assert mesh.base_url.startswith("http://127.0.0.1:")
    assert mesh.request("GET", "/health")[0] == 200


@pytest.mark.parametrize("variable", ["PARLEY_EDGE_PORT", "PARLEY_CHAT_PORT", "PARLEY_RETRIEVAL_PORT"])
def test_a_port_that_is_taken_is_one_line_that_names_the_port_its_setting_and_who_has_it(
    tmp_path: Path, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mesh = Mesh.launch(tmp_path / "home", {variable: str(port)})
        assert ended(mesh) == 2
    (line,) = mesh.logs().splitlines()
    assert f"Port {port} is taken" in line
    assert variable in line
    assert f"(process {os.getpid()})" in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARLEY_EDGE_PORT", "http"),
        ("PARLEY_HOST", "example.com"),
        ("PARLEY_EDGE_ALLOWED_ORIGINS", "*"),
        ("PARLEY_HOME", "/proc/parley"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, variable: str, value: str) -> None:
    mesh = Mesh.launch(tmp_path / "home", {variable: value})
    assert ended(mesh) == 2
    (line,) = mesh.logs().splitlines()
    assert variable in line


@pytest.mark.parametrize(
    ("shared", "missing"),
    [
        ({}, "PARLEY_CHAT_DATABASE_URL"),
        ({"PARLEY_CHAT_DATABASE_URL": "postgresql://me:hush@127.0.0.1/parley"}, "PARLEY_CHAT_REDIS_URL"),
    ],
)
def test_replicas_of_chat_without_what_they_share_are_one_line_that_names_what_is_missing(
    tmp_path: Path, shared: dict[str, str], missing: str
) -> None:
    mesh = Mesh.launch(tmp_path / "home", {"PARLEY_UP_CHAT_REPLICAS": "2", **shared})
    assert ended(mesh) == 2
    (line,) = mesh.logs().splitlines()
    assert missing in line
    assert "hush" not in line


def test_a_wrong_setting_of_a_service_stops_everything_and_is_repeated_at_the_end(tmp_path: Path) -> None:
    mesh = Mesh.launch(tmp_path / "home", {"PARLEY_CHAT_MAX_RUNNING_TURNS": "many"})
    assert ended(mesh) == 2
    assert any(line.startswith("up") and "PARLEY_CHAT_MAX_RUNNING_TURNS" in line for line in mesh.logs().splitlines())
    assert not mesh.ready_file.exists()


def test_a_second_one_in_the_same_home_is_refused_and_the_first_goes_on(mesh: Mesh) -> None:
    with Mesh.launch(mesh.home) as second:
        assert ended(second) == 2
    refusal = next(line for line in mesh.logs().splitlines() if "runs already" in line)
    assert str(mesh.process.pid) in refusal
    assert mesh.base_url in refusal
    assert mesh.ready_file.exists()
    assert mesh.request("GET", "/health")[0] == 200
