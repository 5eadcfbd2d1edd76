"""The metrics of a generation: tokens, duration and the wait for the first text, without any of its words."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from parley_shared.metering import Recorded, recorded
from parley_testing.fake_openai import FakeOpenAI, Reply


def of(name: str, model: str, **attributes: str) -> list[Recorded]:
    """What a metric holds of a model."""
    wanted: Mapping[str, str] = {
        "gen_ai.request.model": model,
        **{key.replace("__", "."): one for key, one in attributes.items()},
    }
    return [one for one in recorded(name) if wanted.items() <= one.attributes.items()]


async def test_a_generation_is_measured_once_by_its_provider_and_model(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    # Metrics are the whole process's: no other test has this model.
    model = f"model-{secrets.token_hex(4)}"
    upstream.reply = Reply(pieces=("secret words",) * 100, input_tokens=9)
    async with serve(OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_MODEL=model) as service:
        for _ in range(2):
            await service.stream(ask("a private question"))
    (read,) = of("gen_ai.client.token.usage", model, gen_ai__token__type="input")
    (written,) = of("gen_ai.client.token.usage", model, gen_ai__token__type="output")
    assert (read.count, read.total) == (2, 18)
    assert (written.count, written.total) == (2, 200)
    (duration,) = of("gen_ai.client.operation.duration", model)
    (first,) = of("gen_ai.client.operation.time_to_first_chunk", model)
    assert (duration.count, first.count) == (2, 2)
    assert 0 < first.total <= duration.total
    assert dict(duration.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
    }


async def test_what_failed_is_measured_with_its_error_and_without_tokens(
    serve: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    model = f"model-{secrets.token_hex(4)}"
    upstream.reply = Reply(status=400)
    async with serve(OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_MODEL=model) as service:
        await service.stream(ask())
    (duration,) = of("gen_ai.client.operation.duration", model)
    assert duration.attributes["error.type"] == "ProviderRejectedError"
    assert of("gen_ai.client.token.usage", model) == []
    assert of("gen_ai.client.operation.time_to_first_chunk", model) == []
