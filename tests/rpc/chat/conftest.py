"""One chat service for all tests of a file, and two people who know nothing of each other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from parley_testing.identity import SignedUp, sign_up
from parley_testing.running_chat import RunningChat, running_chat

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
