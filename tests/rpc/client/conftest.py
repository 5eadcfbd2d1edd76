"""The real chat with a scripted inference behind it, and what points a client or a command at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_testing.running_chat import RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference


@pytest.fixture
async def inference() -> AsyncIterator[ScriptedInference]:
    async with ScriptedInference() as scripted:
        yield scripted


@pytest.fixture
async def running(tmp_path: Path, inference: ScriptedInference) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path / "chat", inference=inference.address) as chat:
        yield chat


@pytest.fixture
async def here(running: RunningChat, tmp_path: Path) -> dict[str, str]:
    """What points a command at that chat, as somebody new."""
    token = (await running.sign_up()).metadata[0][1].removeprefix("Bearer ")
    address = f"127.0.0.1:{running.app.server.port}"
    return {"PARLEY_HOME": str(tmp_path / "home"), "PARLEY_ADDRESS": address, "PARLEY_TOKEN": token}
