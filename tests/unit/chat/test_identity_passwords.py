"""Password hashes: what they are, that they follow their parameters, and that they stay out of the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from unittest.mock import patch

import argon2
import pytest
from parley_chat.adapters.argon2_password_hasher import (
    HASHES_AT_ONCE,
    Argon2PasswordHasher,
    PasswordHashDamagedError,
)
from parley_chat.ports.password_hasher import PasswordMatch


def parameters(memory_cost: int) -> argon2.Parameters:
    return argon2.Parameters(argon2.Type.ID, 19, 16, 32, time_cost=1, memory_cost=memory_cost, parallelism=1)


@pytest.fixture
async def hasher() -> AsyncIterator[Argon2PasswordHasher]:
    hasher = Argon2PasswordHasher(parameters(64))
    yield hasher
    hasher.close()


async def test_hashes_are_argon2id_with_the_parameters_of_rfc_9106_for_little_memory() -> None:
    hasher = Argon2PasswordHasher()
    try:
        assert (await hasher.hash("a password")).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    finally:
        hasher.close()


async def test_a_password_matches_its_own_hash_only(hasher: Argon2PasswordHasher) -> None:
    stored = await hasher.hash("right")
    assert await hasher.compare("right", stored) is PasswordMatch.RIGHT
    assert await hasher.compare("wrong", stored) is PasswordMatch.WRONG
    assert stored != await hasher.hash("right"), "each hash has its own salt"


async def test_a_hash_of_other_parameters_matches_and_is_called_outdated(hasher: Argon2PasswordHasher) -> None:
    stored = argon2.PasswordHasher.from_parameters(parameters(128)).hash("right")
    assert await hasher.compare("right", stored) is PasswordMatch.RIGHT_BUT_OUTDATED
    assert await hasher.compare("wrong", stored) is PasswordMatch.WRONG


async def test_without_an_account_the_same_work_is_done_and_nothing_matches(hasher: Argon2PasswordHasher) -> None:
    stored = await hasher.hash("right")
    verified: list[str] = []
    verify = argon2.PasswordHasher.verify

    def recorded(self: argon2.PasswordHasher, stored: str, password: str) -> bool:
        verified.append(stored)
        return verify(self, stored, password)

    with patch.object(argon2.PasswordHasher, "verify", recorded):
        assert await hasher.compare("right", stored) is PasswordMatch.RIGHT
        assert await hasher.compare("right", None) is PasswordMatch.WRONG
    assert [argon2.extract_parameters(one) for one in verified] == [parameters(64)] * 2


async def test_a_damaged_hash_is_an_error_that_does_not_quote_it(hasher: Argon2PasswordHasher) -> None:
    with pytest.raises(PasswordHashDamagedError) as refused:
        await hasher.compare("right", "$argon2id$damaged")
    assert "damaged" not in str(refused.value)
    assert refused.value.__suppress_context__


async def test_no_more_hashes_run_at_once_than_memory_is_meant_for(hasher: Argon2PasswordHasher) -> None:
    lock, gate, full = threading.Lock(), threading.Event(), threading.Event()
    running = most = 0

    def slow(_: argon2.PasswordHasher, password: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == HASHES_AT_ONCE:
                full.set()
        gate.wait(10)
        with lock:
            running -= 1
        return password

    with patch.object(argon2.PasswordHasher, "hash", slow):
        hashes = [asyncio.ensure_future(hasher.hash("x")) for _ in range(HASHES_AT_ONCE * 3)]
        assert await asyncio.to_thread(full.wait, 10)
        gate.set()
        await asyncio.gather(*hashes)
    assert most == HASHES_AT_ONCE
