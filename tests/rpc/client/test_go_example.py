"""The example in Go: generated from the protos as its README says, built, and run against the real chat, also across a cut."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from parley.identity.v1 import identity_service_pb2
from parley_testing.cuttable_proxy import cuttable_proxy
from parley_testing.running_chat import RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.tools import ROOT, require_tool

EXAMPLE = ROOT / "examples" / "go"
# A first build compiles gRPC, on a machine that may be busy.
BUILD_SECONDS = 900
SECONDS = 60
pytestmark = pytest.mark.timeout(3 * BUILD_SECONDS)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built example. What go.mod and go.sum name is used, and nothing newer."""
    require_tool("go")
    built = tmp_path_factory.mktemp("go") / "parley-example"
    environment = {
        **os.environ,
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for command in (["buf", "generate"], ["go", "vet", "./..."], ["go", "build", "-o", str(built), "."]):
        done = subprocess.run(
            command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return built


async def start(program: Path, port: int, message: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        program,
        "-address",
        f"127.0.0.1:{port}",
        message,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_prints_the_answer_as_it_comes_and_goes_on_after_a_cut(
    program: Path, running: RunningChat, inference: ScriptedInference
) -> None:
    token = (await running.sign_up()).metadata[0][1].removeprefix("Bearer ")
    async with cuttable_proxy(running.app.server.port) as proxy:
        process = await start(program, proxy.port, "Hello?", PARLEY_TOKEN=token)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(SECONDS):
                call = await inference.next_call()
                call.say("Never ")
                assert await process.stdout.readexactly(6) == b"Never "
                proxy.cut()
                call.say("lost.")
                call.finish()
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, errors
    assert output == b"lost.\n"
    assert b"resuming" in errors


async def test_it_signs_in_and_says_when_it_may_not(
    program: Path, running: RunningChat, inference: ScriptedInference
) -> None:
    account = {"email": "ada@example.org", "password": "correct horse"}
    await running.identity.SignUp(identity_service_pb2.SignUpRequest(**account))
    port = running.app.server.port
    async with asyncio.timeout(SECONDS):
        process = await start(
            program, port, "Hello?", PARLEY_EMAIL=account["email"], PARLEY_PASSWORD=account["password"]
        )
        call = await inference.next_call()
        call.say("Hello.")
        call.finish()
        output, errors = await process.communicate()
        assert (process.returncode, output) == (0, b"Hello.\n"), errors
        process = await start(program, port, "Hello?", PARLEY_TOKEN="nobody's")
        output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    assert b"Unauthenticated" in errors
