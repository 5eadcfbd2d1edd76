"""What callers are told of prices, and a file of prices that cannot be used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley_shared.settings import SettingsError
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

PRICES = """
["fake-model"]
input = 0.25
output = "2"
cached_input = 0.025
cache_write_input = 0.3125

["openai/fake-model"]
input = 1.25
output = 10
"""
PRICE = generation_pb2.TokenPrice(
    input_usd_micros=1_250_000,
    output_usd_micros=10_000_000,
    cached_input_usd_micros=1_250_000,
    cache_write_input_usd_micros=1_250_000,
)
OTHER_PRICE = generation_pb2.TokenPrice(
    input_usd_micros=250_000,
    output_usd_micros=2_000_000,
    cached_input_usd_micros=25_000,
    cache_write_input_usd_micros=312_500,
)


@pytest.fixture
def prices_file(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES, encoding="utf-8")
    return file


@pytest.fixture
def broken_file(tmp_path: Path) -> Path:
    file = tmp_path / "broken.toml"
    file.write_text('["fake-model"]\ninput = "cheap"\noutput = 1\n', encoding="utf-8")
    return file


@pytest.fixture
async def second() -> AsyncIterator[FakeOpenAI]:
    """The provider that goes on."""
    async with FakeOpenAI(Reply(pieces=numbered_words(60)), models=("fake-model",)) as running:
        yield running


async def test_whoever_begins_and_whoever_goes_on_tells_its_own_price(
    serve: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any, prices_file: Path
) -> None:
    upstream.reply = Reply(pieces=numbered_words(60), break_off_after=20, tokens_per_second=400)
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        OLLAMA_HOST=second.base_url,
        PARLEY_INFERENCE_MODEL="openai/fake-model",
        PARLEY_INFERENCE_FALLBACK_MODELS="ollama/fake-model",
        PARLEY_INFERENCE_PRICES_FILE=str(prices_file),
    ) as service:
        responses, failure = await service.stream(ask())
        assert failure is None
        (started,) = [one.started for one in responses if one.HasField("started")]
        (switched,) = [one.provider_switched for one in responses if one.HasField("provider_switched")]
        assert started.price == PRICE
        assert switched.price == OTHER_PRICE
        # What the first took is told before the switch, so that each can be paid at its own price.
        kinds = [one.WhichOneof("event") for one in responses]
        assert kinds[kinds.index("provider_switched") - 1] == "usage"


async def test_the_list_of_models_tells_prices_and_none_for_a_model_that_nobody_priced(
    serve: Any, upstream: FakeOpenAI, prices_file: Path
) -> None:
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_MODELS="other-model",
        PARLEY_INFERENCE_PRICES_FILE=str(prices_file),
    ) as service:
        request = model_service_pb2.ListModelsRequest()
        models = (await service.models.ListModels(request, metadata=service.metadata())).models
        assert [model.model for model in models] == ["fake-model", "other-model"]
        assert models[0].price == PRICE
        assert not models[1].HasField("price")


async def test_the_built_in_model_costs_nothing_also_beside_an_operators_file(
    serve: Any, ask: Any, prices_file: Path
) -> None:
    for variables in ({}, {"PARLEY_INFERENCE_PRICES_FILE": str(prices_file)}):
        async with serve(**variables) as service:
            responses, _ = await service.stream(ask())
            assert responses[0].started.HasField("price")
            assert responses[0].started.price == generation_pb2.TokenPrice()


async def test_a_model_without_a_price_tells_none(online: Any, ask: Any) -> None:
    responses, _ = await online.stream(ask())
    assert not responses[0].started.HasField("price")


async def test_a_file_that_cannot_be_used_stops_the_start_with_its_variable_and_the_model(
    serve: Any, broken_file: Path
) -> None:
    with pytest.raises(SettingsError, match=r"PARLEY_INFERENCE_PRICES_FILE: .*'fake-model'") as raised:
        async with serve(PARLEY_INFERENCE_PRICES_FILE=str(broken_file)):
            pass
    assert raised.value.variable == "PARLEY_INFERENCE_PRICES_FILE"
