"""Stop signals over Redis: heard by every replica, lost without harm."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_stop_signals import RedisStopSignals
from parley_testing.redis_server import RedisServer, redis_server, running_redis

__all__ = ["redis_server"]  # The fixture of the server; imported so that pytest finds it.

TURN = "trn_" + "0" * 32
SECONDS = 60


@contextlib.asynccontextmanager
async def replica(url: str) -> AsyncIterator[tuple[RedisStopSignals, list[str]]]:
    """The signals of a replica, and what it heard."""
    redis = RedisConnection(url)
    signals = RedisStopSignals(redis)
    heard: list[str] = []
    signals.listen(heard.append)
    try:
        yield signals, heard
    finally:
        await redis.close()


async def send_until_heard(signals: RedisStopSignals, turn_id: str, *heard: list[str]) -> None:
    """Sends again and again: who is not listening yet misses a signal, and that is all."""
    async with asyncio.timeout(SECONDS):
        while not all(turn_id in one for one in heard):
            await signals.send(turn_id)
            await asyncio.sleep(0.05)


async def test_a_signal_is_heard_by_every_replica(redis_server: RedisServer) -> None:
    url = redis_server.new_url()
    async with replica(url) as (signals, here), replica(url) as (_, there):
        await send_until_heard(signals, TURN, here, there)
        assert set(here) == set(there) == {TURN}


async def test_once_replicas_listen_one_signal_is_enough(redis_server: RedisServer) -> None:
    url = redis_server.new_url()
    async with replica(url) as (signals, here), replica(url) as (_, there):
        await send_until_heard(signals, TURN, here, there)
        await signals.send("trn_once")
        # Signals of one sender come in their order as long as the connection lives.
        await send_until_heard(signals, "trn_last", here, there)
        assert here.count("trn_once") == there.count("trn_once") == 1


async def test_signals_are_heard_again_after_redis_was_killed_and_sending_to_a_dead_one_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_redis(password="s3cret") as server:
        async with replica(server.new_url()) as (signals, heard):
            await send_until_heard(signals, TURN, heard)
            server.kill()
            with caplog.at_level(logging.WARNING):
                await signals.send("trn_lost")
            assert "could not be signalled" in caplog.text
            assert "s3cret" not in caplog.text
            await asyncio.to_thread(server.start)
            await send_until_heard(signals, "trn_later", heard)
            assert "trn_lost" not in heard
