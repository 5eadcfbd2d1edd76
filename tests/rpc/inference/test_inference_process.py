"""Inference as a process of its own: how it starts, what it says, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.inference.v1 import inference_service_pb2_grpc
from parley_shared.channels import bearer
from parley_testing.addresses import NOBODY
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.tokens import TestKeys

SECONDS = 30
SERVICES = ("InferenceService", "ModelService", "EmbeddingService")
COMMANDS = [
    pytest.param((sys.executable, "-m", "parley_inference"), id="module"),
    pytest.param((str(Path(sys.executable).parent / "parley-inference"),), id="script"),
]


@dataclass(frozen=True)
class Process:
    """A running service; its log goes to a file."""

    process: asyncio.subprocess.Process
    log: Path
    channel: grpc.aio.Channel


def environment(home: Path, variables: dict[str, str]) -> dict[str, str]:
    foreign = ("PARLEY_", "OPENAI_", "ANTHROPIC_", "OLLAMA_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "PARLEY_HOME": str(home),
        "PARLEY_INFERENCE_PORT": "0",
        "PARLEY_CHAT_ADDRESS": NOBODY,
        "PARLEY_LOG_FORMAT": "json",
        **variables,
    }


@asynccontextmanager
async def started(home: Path, command: tuple[str, ...], **variables: str) -> AsyncIterator[Process]:
    log = home / "log"
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment(home, variables), stdout=stream, stderr=stream
        )
    try:
        async with asyncio.timeout(SECONDS):
            while not (said := re.search(r"listens on [^ ]*:(\d+)", log.read_text())):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{said[1]}") as channel:
            yield Process(process, log, channel)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("command", COMMANDS)
async def test_it_says_what_it_listens_on_and_uses_without_secrets_and_ends_with_0(
    tmp_path: Path, upstream: FakeOpenAI, command: tuple[str, ...]
) -> None:
    variables = {"OPENAI_API_KEY": "sk-very-secret", "OPENAI_BASE_URL": upstream.base_url}
    async with started(tmp_path, command, **variables) as running:
        health: Any = health_pb2_grpc.HealthStub(running.channel)
        for name in ("", *(f"parley.inference.v1.{service}" for service in SERVICES)):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.process.wait(), SECONDS) == 0
        log = running.log.read_text()
    assert "openai_api_key = [set]" in log
    assert upstream.base_url in log
    assert "very-secret" not in log
    assert "Traceback" not in log


async def test_a_running_stream_is_finished_when_the_service_is_told_to_end(
    tmp_path: Path, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(tokens_per_second=100)
    metadata = bearer(TestKeys(tmp_path).mint(f"usr_{'1' * 32}", ("inference:invoke",)))
    command = (sys.executable, "-m", "parley_inference")
    async with started(tmp_path, command, OPENAI_BASE_URL=upstream.base_url) as running:
        stub: Any = inference_service_pb2_grpc.InferenceServiceStub(running.channel)
        call = stub.StreamGenerate(ask(), metadata=metadata)
        await call.read()
        running.process.send_signal(signal.SIGTERM)
        kinds = []
        while (response := await call.read()) is not grpc.aio.EOF:
            kinds.append(response.WhichOneof("event"))
        assert kinds[-1] == "finished"
        assert await asyncio.wait_for(running.process.wait(), SECONDS) == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PARLEY_INFERENCE_MODEL": "x"}, "PARLEY_INFERENCE_MODEL names a model and no provider is configured"),
        ({"OPENAI_BASE_URL": "nonsense"}, "OPENAI_BASE_URL must be the URL of a server"),
        ({"PARLEY_INFERENCE_PORT": "99999"}, "PARLEY_INFERENCE_PORT must be a whole number"),
    ],
)
async def test_a_wrong_setting_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parley_inference",
        env=environment(tmp_path, variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 2
    assert out == b""
    assert err.decode().count("\n") == 1
    assert words in err.decode()
