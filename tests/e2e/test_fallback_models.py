"""A provider that breaks off in the middle of an answer, and another that goes on: from the providers' sockets to the command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from parley_testing.command import terminal
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words
from parley_testing.mesh import Mesh

WORDS = numbered_words(40)


async def test_an_answer_goes_on_with_the_next_model_and_every_door_says_so(start_mesh: Callable[..., Mesh]) -> None:
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
            },
        )
        async with terminal({"PARLEY_HOME": str(mesh.home)}, "ask", "Count, please.") as shown:
            seen = await shown.until(lambda seen: "word40" in seen and " tokens" in seen)
            assert await shown.end() == 0
        assert "The model fake-model is unavailable; small goes on." in " ".join(seen.split())

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
