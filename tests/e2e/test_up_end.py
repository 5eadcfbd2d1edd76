"""However `parley up` ends, nothing is left: no process, no port, no ready.json."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # A child of a killed parent is a zombie until init has read its end.
    return state != "Z"


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def assert_nothing_is_left(mesh: Mesh, pids: dict[str, int]) -> None:
    def left() -> list[str]:
        listening = [name for name, address in mesh.facts["addresses"].items() if listens(address)]
        return listening + [name for name, pid in pids.items() if alive(pid)]

    wait_until(lambda: not left(), mesh)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_ends_well_and_leaves_nothing(start_mesh: Callable[..., Mesh], number: int) -> None:
    mesh = start_mesh()
    pids = mesh.pids
    assert mesh.stop(number=number) == 0
    assert not mesh.ready_file.exists()
    assert_nothing_is_left(mesh, pids)
    assert "Traceback" not in mesh.logs()
    assert "could not be drained" not in mesh.logs()


def test_killed_it_leaves_nothing_either(start_mesh: Callable[..., Mesh]) -> None:
    mesh = start_mesh()
    pids = mesh.pids
    mesh.process.kill()
    mesh.process.wait()
    assert_nothing_is_left(mesh, pids)
    # What it could not take away does not stand in the way of the next one.
    assert mesh.ready_file.exists()
    next_one = start_mesh()
    assert next_one.pids["up"] != pids["up"]


def test_a_running_stream_is_let_finish_and_a_second_ctrl_c_does_not_wait_for_it(
    start_mesh: Callable[..., Mesh], request: pytest.FixtureRequest
) -> None:
    mesh = start_mesh({"PARLEY_DRAIN_SECONDS": "60"})
    pids = mesh.pids
    connection = http.client.HTTPConnection(mesh.grpc_address, timeout=60)
    request.addfinalizer(connection.close)
    # The health of a service is watched for as long as the caller wants: a stream that does not end by itself.
    watch = b"\x00\x00\x00\x00\x00"
    connection.request("POST", "/grpc.health.v1.Health/Watch", watch, {"content-type": "application/grpc-web+proto"})
    response = connection.getresponse()
    request.addfinalizer(response.close)
    assert response.read(5)[0] == 0
    mesh.process.send_signal(signal.SIGINT)
    wait_until(lambda: "waiting for 1 running call to end" in mesh.logs(), mesh)
    assert mesh.process.poll() is None
    assert not mesh.ready_file.exists()
    ender = threading.Thread(target=mesh.process.wait)
    ender.start()
    mesh.process.send_signal(signal.SIGINT)
    ender.join(20)
    assert mesh.process.returncode == 0
    assert_nothing_is_left(mesh, pids)


def wait_until(condition: Callable[[], bool], mesh: Mesh, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, mesh.logs()[-4000:]
        time.sleep(0.02)
