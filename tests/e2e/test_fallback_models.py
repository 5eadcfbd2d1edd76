"""A provider that breaks off in the middle of an answer, and another that goes on: from the providers' sockets to the command."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from parley_testing.command import terminal
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words
from parley_testing.mesh import Mesh

WORDS = numbered_words(40)


PRICES = """
["fake-model"]
input = 100
output = 100

["ollama/small"]
input = "0.5"
output = 1_000
"""


@pytest.fixture
def prices_file(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES, encoding="utf-8")
    return file


async def test_an_answer_goes_on_with_the_next_model_and_every_door_says_so_and_what_it_cost(
    start_mesh: Callable[..., Mesh], prices_file: Path
) -> None:
    cut = Reply(pieces=WORDS, break_off_after=15, tokens_per_second=100)
    async with FakeOpenAI(cut) as first, FakeOpenAI(Reply(pieces=WORDS), models=("small",)) as second:
        mesh = await asyncio.to_thread(
            start_mesh,
            {
                "OPENAI_BASE_URL": first.base_url,
                "OPENAI_API_KEY": "test",
                "OLLAMA_HOST": second.base_url,
                "PARLEY_INFERENCE_MODEL": "openai/fake-model",
                "PARLEY_INFERENCE_FALLBACK_MODELS": "ollama/small",
                "PARLEY_INFERENCE_PRICES_FILE": str(prices_file),
            },
        )
        async with terminal({"PARLEY_HOME": str(mesh.home)}, "ask", "Count, please.") as shown:
            seen = await shown.until(lambda seen: "word40" in seen and " tokens" in seen)
            assert await shown.end() == 0
        assert "The model fake-model is unavailable; small goes on." in " ".join(seen.split())
        assert re.search(r"tokens · ~\$0\.\d+ · ", " ".join(seen.split()))

        user = await asyncio.to_thread(mesh.sign_up)
        headers = {"authorization": user.authorization}
        status, body = await asyncio.to_thread(
            mesh.request, "POST", "/api/v2/chat/send", {"message": "Count."}, headers=headers
        )
        assert status == 200
        answer = json.loads(body)
        assert answer["text"] == "".join(WORDS)
        assert answer["model"] == "small"
        assert answer["usage"]["estimated"]
        usage = answer["usage"]
        # The second says itself what it took: 7 tokens read and 40 written. The rest is the first's.
        of_first = 100 * (usage["input_tokens"] - 7) + 100 * (usage["output_tokens"] - 40)
        assert of_first > 0
        assert int(usage["cost_usd_micros"]) == math.ceil(of_first + 0.5 * 7 + 1_000 * 40)
