"""Batches outlive processes: kill -9, an end with notice, and two replicas that share one batch."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
from parley.budget.v1 import budget_pb2
from parley.chat.v1 import batch_pb2
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from parley_testing.batches import SECONDS, Batches, eventually
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Metadata, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference


@asynccontextmanager
async def started(home: Path, inference: str) -> AsyncIterator[tuple[Process, grpc.aio.Channel]]:
    """`python -m parley_chat` on a folder, and a channel to it; it is killed at the end at the latest."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    settings = {
        "PARLEY_HOME": str(home),
        "PARLEY_CHAT_PORT": "0",
        "PARLEY_CHAT_LOCAL_USER": "false",
        "PARLEY_INFERENCE_ADDRESS": inference,
        "PARLEY_RETRIEVAL_ADDRESS": "127.0.0.1:1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parley_chat", env={**inherited, **settings}, stdout=DEVNULL, stderr=PIPE
    )
    assert process.stderr is not None
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(SECONDS):
            while not (said := re.search(rb"listens on [^ ]*:(\d+)", line := await process.stderr.readline())):
                assert line, "it ended before it listened"
        reading = asyncio.create_task(_read_to_end(process.stderr))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{int(said[1])}") as channel:
            yield process, channel
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _read_to_end(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def sign_up(channel: grpc.aio.Channel) -> Metadata:
    stub = identity_service_pb2_grpc.IdentityServiceStub(channel)
    response = await stub.SignUp(identity_service_pb2.SignUpRequest(email="ada@example.org", password="correct horse"))
    return (("authorization", f"Bearer {response.tokens.access_token}"),)


def prompt(call: ScriptedCall) -> str:
    return call.request.messages[-1].text


def answer(call: ScriptedCall) -> None:
    call.say(f"of {prompt(call)}")
    call.finish()


async def test_after_kill_9_the_next_process_writes_what_is_left_and_nothing_twice(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with started(tmp_path, inference.address) as (process, channel):
        metadata = await sign_up(channel)
        batches = Batches(channel, metadata)
        batch_id = await batches.batch(*({"prompt": str(number)} for number in range(6)))
        calls = {prompt(call): call for call in [await inference.next_call() for _ in range(4)]}
        answer(calls["0"])
        answer(calls["2"])
        later = {prompt(call) for call in [await inference.next_call() for _ in range(2)]}
        assert later == {"4", "5"}

        async def two_are_stored() -> bool:
            return (await batches.get(batch_id)).completed_count == 2

        await eventually(two_are_stored)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    asked = inference.calls
    async with started(tmp_path, inference.address) as (_, channel):
        batches = Batches(channel, metadata)
        again = [await inference.next_call() for _ in range(4)]
        assert {prompt(call) for call in again} == {"1", "3", "4", "5"}
        for call in again:
            answer(call)
        batch = await batches.until(batch_id)
        assert (batch.state, batch.completed_count) == (batch_pb2.BATCH_STATE_DONE, 6)
        assert [line["text"] for line in await batches.lines(batch_id)] == [f"of {number}" for number in range(6)]
    assert inference.calls == asked + 4


async def test_a_process_that_ends_with_notice_gives_its_lines_back(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_BATCH_ATTEMPTS="1") as chat:
        metadata = (await chat.sign_up()).metadata
        batches = Batches(chat.channel, metadata)
        usage: Any = usage_service_pb2_grpc.UsageServiceStub(chat.channel)
        limit = usage_service_pb2.CreateBudgetRequest(
            period=budget_pb2.BUDGET_PERIOD_TOTAL, limit_cost_usd_micros=1_000_000
        )
        budget_id = (await usage.CreateBudget(limit, metadata=metadata)).budget.budget_id
        inference.price = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=1_000_000)
        batch_id = await batches.batch({"prompt": "slow"})
        call = await inference.next_call()

        async def has_begun() -> bool:
            request = usage_service_pb2.GetBudgetRequest(budget_id=budget_id)
            found = (await usage.GetBudget(request, metadata=metadata)).budget.spending
            return bool(found.reserved_cost_usd_micros)

        # A model tells its price when it begins: until then an attempt takes nothing.
        await eventually(has_begun)
        inference.price = None
    async with asyncio.timeout(SECONDS):
        await call.cancelled.wait()
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_BATCH_ATTEMPTS="1") as chat:
        batches = Batches(chat.channel, metadata)
        answer(await inference.next_call())
        batch = await batches.until(batch_id)
        # The attempt that was given back does not count; what it took does, beside what the other one took.
        assert (batch.completed_count, batch.unpriced_count) == (1, 1)
        assert batch.cost_usd_micros > 0


async def test_two_replicas_share_a_batch_and_each_line_is_written_once(
    tmp_path: Path, inference: ScriptedInference, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    shared = {
        "PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_CHAT_REDIS_URL": redis_server.new_url(),
        "PARLEY_CHAT_BATCH_PLACES": "3",
    }
    async with (
        running_chat(tmp_path, inference=inference.address, **shared) as one,
        running_chat(tmp_path, inference=inference.address, **shared) as two,
    ):
        metadata = (await one.sign_up()).metadata
        here, there = Batches(one.channel, metadata), Batches(two.channel, metadata)
        batch_id = await here.batch(*({"prompt": str(number)} for number in range(20)))
        watching = asyncio.ensure_future(there.until(batch_id))
        # Six at once are the places of both.
        held = [await inference.next_call() for _ in range(6)]
        asked = [prompt(call) for call in held]
        for call in held:
            answer(call)
        for _ in range(14):
            call = await inference.next_call()
            asked.append(prompt(call))
            answer(call)
        batch = await watching
        assert (batch.state, batch.completed_count) == (batch_pb2.BATCH_STATE_DONE, 20)
        assert sorted(asked, key=int) == [str(number) for number in range(20)]
        assert inference.calls == 20
        assert [line["text"] for line in await there.lines(batch_id)] == [f"of {number}" for number in range(20)]

        # One is cancelled where it is not written.
        other = await here.batch({"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"}, {"prompt": "d"})
        running = [await inference.next_call() for _ in range(4)]
        ended = await there.cancel(other)
        assert (ended.state, ended.cancelled_count) == (batch_pb2.BATCH_STATE_CANCELLED, 4)
        async with asyncio.timeout(SECONDS):
            for call in running:
                await call.cancelled.wait()
