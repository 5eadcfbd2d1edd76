"""An answer that is interrupted: by Ctrl-C, which stops it at the provider, by the death of the edge, which nobody sees, and by
a provider that is away, for which it can wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from parley_testing.command import SECONDS, end, run, start, terminal
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words
from parley_testing.mesh import Mesh

WORDS = numbered_words(120)


@pytest.fixture
async def upstream() -> FakeOpenAI:
    return FakeOpenAI(Reply(pieces=WORDS, tokens_per_second=30, waits_after=40))


async def test_ctrl_c_stops_the_turn_down_to_the_provider_and_the_edges_death_is_not_seen(
    upstream: FakeOpenAI, start_mesh: Callable[..., Mesh]
) -> None:
    async with upstream:
        provider = {
            "OPENAI_BASE_URL": upstream.base_url,
            "OPENAI_API_KEY": "test",
            "PARLEY_INFERENCE_MODEL": "fake-model",
            "PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS": "600",
        }
        mesh = await asyncio.to_thread(start_mesh, provider)
        home = {"PARLEY_HOME": str(mesh.home)}

        # Each answer waits in its middle until what is done there is done, however slow the machine is.
        upstream.go_on.clear()
        async with terminal(home, "ask", "Count, please.") as shown:
            await shown.until(lambda seen: "word3 " in seen)
            assert upstream.streams_open == 1
            shown.type("\x03")
            seen = await shown.until(lambda seen: "Stopped. " in seen and " tokens" in seen)
            assert await shown.end() == 130
        assert "word120" not in seen
        await upstream.wait_for(lambda: upstream.streams_open == 0)
        assert upstream.streams_cut == 1, "the connection to the provider was closed, and not only the view"

        (session,) = json.loads((await run(home, "sessions", "--json")).out)
        assert session["running_turn_id"] == ""

        process = await start(home, "ask", "Count again, please.")
        assert process.stdout is not None
        begun = await asyncio.wait_for(process.stdout.readuntil(b"word10 "), SECONDS)
        await asyncio.to_thread(mesh.restart, "edge", seconds=60)
        upstream.go_on.set()
        ended = await end(process)
        assert ended.code == 0, ended.err
        assert begun.decode() + ended.out == "".join(WORDS) + "\n", "no word is missing, and none is there twice"


@pytest.mark.timeout(300)
async def test_a_question_waits_for_a_provider_that_is_away_and_tells_its_place(
    upstream: FakeOpenAI, start_mesh: Callable[..., Mesh]
) -> None:
    words = upstream.reply
    upstream.reply = Reply(status=503, error={"message": "The model is being moved."})
    async with upstream:
        provider = {
            "OPENAI_BASE_URL": upstream.base_url,
            "OPENAI_API_KEY": "test",
            "PARLEY_INFERENCE_MODEL": "fake-model",
        }
        mesh = await asyncio.to_thread(start_mesh, provider)
        home = {"PARLEY_HOME": str(mesh.home)}
        ended = await run(home, "ask", "Count, please.")
        assert (ended.code, ended.out) == (1, ""), "who does not ask for the queue is told at once"
        process = await start(home, "ask", "Count, please.", "--queue")
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.readuntil(b"waiting for a model: place 1\n"), SECONDS)
        upstream.reply = words
        # A provider that failed for long is asked again after up to a minute.
        ended = await end(process, seconds=180)
        assert (ended.code, ended.out) == (0, "".join(WORDS) + "\n"), ended.err
