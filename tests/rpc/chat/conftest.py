"""The chat services of these tests, and people who know nothing of each other.

`chat` is one for all tests of a file, with nothing behind it; `ada` and `bob` are its people. `running` is a test's own, on a
folder of its own and with an `inference` that says what the test scripts; `alice` and `carol` are its people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_testing.identity import SignedUp, sign_up
from parley_testing.postgres import postgres
from parley_testing.redis_server import redis_server
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference

__all__ = ["postgres", "redis_server"]

NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
async def chat(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningChat]:
    """Chat with nothing behind it: whatever needs no model works."""
    async with running_chat(tmp_path_factory.mktemp("home"), inference=NOWHERE) as chat:
        yield chat


@pytest.fixture
async def ada(chat: RunningChat) -> SignedUp:
    return await sign_up(chat.identity, "ada")


@pytest.fixture
async def bob(chat: RunningChat) -> SignedUp:
    return await sign_up(chat.identity, "bob")


@pytest.fixture
async def inference() -> AsyncIterator[ScriptedInference]:
    async with ScriptedInference() as scripted:
        yield scripted


@pytest.fixture
async def running(tmp_path: Path, inference: ScriptedInference) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path, inference=inference.address) as chat:
        yield chat


@pytest.fixture
async def alice(running: RunningChat) -> Person:
    return await running.sign_up()


@pytest.fixture
async def carol(running: RunningChat) -> Person:
    return await running.sign_up()
