"""A service as a process: what it prints, how it ends, and with which code."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from parley_shared.logs import set_up_logs
from parley_shared.serving import Registration, build_server, run, until_terminated
from parley_shared.settings import Environment, ServiceSettings
from parley_shared.telemetry import set_up_telemetry
from parley_shared.tokens import TokenVerifier
from parley.inference.v1 import inference_service_pb2 as pb, inference_service_pb2_grpc as pb_grpc

class Servicer(pb_grpc.InferenceServiceServicer):
    async def StreamGenerate(self, request, context):
        yield pb.StreamGenerateResponse(text_delta="begun")
        await asyncio.sleep(600)

async def main():
    settings = ServiceSettings.read(Environment(), service="inference", default_port=50052)
    set_up_logs(settings.service, settings.log_level, settings.log_format)
    set_up_telemetry(settings.service, settings.otlp_endpoint, "1.2.3")
    verifier = TokenVerifier(settings.jwks_file, settings.token_issuer, settings.token_audience)
    registration = Registration(pb_grpc.add_InferenceServiceServicer_to_server, Servicer(), "parley.inference.v1.InferenceService")
    server = build_server(settings, [registration], verifier=verifier, to_status_error=lambda error: None)
    await server.start()
    print(server.port, flush=True)
    if "slow" in sys.argv:
        await asyncio.sleep(1)
    if "fail" in sys.argv:
        raise RuntimeError("something broke")
    await until_terminated()
    await server.drain()

run(main)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the program; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {"PARLEY_HOME": str(tmp_path), "PARLEY_INFERENCE_PORT": "0", "PATH": "/usr/bin:/bin"} | variables
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def begin_a_stream(port: int, home: Path) -> subprocess.Popen[str]:
    """A caller in a process of its own, that has read the first message when this returns."""
    from parley_testing.tokens import TestKeys

    token = TestKeys(home).mint("usr_1", ["inference:invoke"])
    program = f"""
import grpc
from parley.inference.v1 import inference_service_pb2 as pb, inference_service_pb2_grpc as pb_grpc
stub = pb_grpc.InferenceServiceStub(grpc.insecure_channel("127.0.0.1:{port}"))
call = stub.StreamGenerate(pb.StreamGenerateRequest(), metadata=[("authorization", "Bearer {token}")])
print(next(call).text_delta, flush=True)
for _ in call: pass
"""
    caller = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert caller.stdout is not None
    assert caller.stdout.readline() == "begun\n"
    return caller


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_process_ends_well(start: Start, number: int) -> None:
    process = start("slow", PARLEY_LOG_FORMAT="pretty")
    port = port_of(process)
    process.send_signal(number)  # before the program waits for it: no signal is too early for who knows the port
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"inference listens on 127.0.0.1:{port}" in errors
    assert errors.splitlines()[-1].endswith("inference stopped")
    assert "Traceback" not in errors


def test_a_second_signal_stops_at_once_what_the_first_let_go_on(start: Start, tmp_path: Path) -> None:
    process = start(PARLEY_DRAIN_SECONDS="600")
    caller = begin_a_stream(port_of(process), tmp_path)
    try:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        caller.kill()
        caller.communicate()


def test_a_wrong_setting_is_one_line_and_the_code_2(start: Start) -> None:
    process = start(PARLEY_INFERENCE_PORT="many")
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert (out, errors) == ("", "PARLEY_INFERENCE_PORT must be a whole number from 0 to 65535, not 'many'.\n")


def test_a_taken_port_is_one_line_and_the_code_2(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(PARLEY_INFERENCE_PORT=str(port))
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert (
        errors
        == f"inference cannot listen on 127.0.0.1:{port}: the port is taken. Set PARLEY_INFERENCE_PORT to another.\n"
    )


def test_two_services_never_share_a_port(start: Start) -> None:
    port = port_of(start())
    second = start(PARLEY_INFERENCE_PORT=str(port))
    assert second.wait(timeout=30) == 2


def test_a_failure_is_logged_with_its_cause_and_the_code_is_1(start: Start) -> None:
    process = start("fail")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "RuntimeError: something broke" in errors


def test_a_collector_that_is_away_neither_delays_the_end_nor_fills_the_log(start: Start) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        process = start(
            PARLEY_OTLP_ENDPOINT=f"http://127.0.0.1:{reserved.getsockname()[1]}", PARLEY_LOG_FORMAT="pretty"
        )
        port_of(process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert len([line for line in errors.splitlines() if "export" in line.lower()]) <= 1
