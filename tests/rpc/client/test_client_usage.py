"""`client.usage` and `parley usage`, against the real chat and a scripted inference."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from parley.inference.v1 import generation_pb2
from parley_client import Parley
from parley_testing.command import run
from parley_testing.scripted_inference import ScriptedInference

PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)


async def write_one(here: dict[str, str], inference: ScriptedInference) -> None:
    """A text of 1,000 tokens in and 300 out, which costs $0.0016."""
    async with Parley.connect(here["PARLEY_ADDRESS"], token=here["PARLEY_TOKEN"]) as client:
        inference.price = PRICE
        asked = asyncio.create_task(client.generation.text("Hi"))
        call = await inference.next_call()
        call.say("Hello.")
        call.use(1_000, 300)
        call.finish()
        await asked
        async with asyncio.timeout(60):
            # It is recorded behind the text.
            while not (await client.usage.get()).total.request_count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)


async def test_the_client_tells_usage_and_its_table(here: dict[str, str], inference: ScriptedInference) -> None:
    await write_one(here, inference)
    async with Parley.connect(here["PARLEY_ADDRESS"], token=here["PARLEY_TOKEN"]) as client:
        found = await client.usage.get(by=["model"], start=datetime.now(UTC) - timedelta(hours=1))
        assert [(row.model, row.cost_usd_micros) for row in found.rows] == [("scripted-1", 1_600)]
        (line,) = csv.DictReader(io.StringIO((await client.usage.csv(by=["model"])).decode()))
        assert (line["model"], line["cost_usd_micros"]) == ("scripted-1", "1600")
        assert not (await client.usage.get(end=datetime.now(UTC) - timedelta(days=1))).rows
        with pytest.raises(ValueError, match="time zone"):
            await client.usage.get(start=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


async def test_the_command_shows_what_was_used_by_what_is_asked(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    nothing = await run(here, "usage")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == "No model was asked for anything in this time.\n"
    await write_one(here, inference)
    shown = await run(here, "usage", "--by", "purpose,model")
    assert shown.code == 0
    head, row, total = shown.out.splitlines()
    assert head.split()[:3] == ["purpose", "model", "requests"]
    assert row.split()[:8] == ["text", "scripted-1", "1", "0", "0", "1,000", "300", "$0.0016"]
    assert total.split()[0] == "all"
    whole = await run(here, "usage", "--json")
    assert json.loads(whole.out)["total"]["cost_usd_micros"] == "1600"
    table = await run(here, "usage", "--csv")
    (line,) = csv.DictReader(io.StringIO(table.out))
    assert line["request_count"] == "1"


async def test_the_command_refuses_what_is_no_dimension(here: dict[str, str]) -> None:
    for by in ("weekday", "day,day"):
        ended = await run(here, "usage", "--by", by)
        assert ended.code == 2
        assert "--by takes day, model, route, session, purpose" in ended.err
