"""A service that is configured by a file: its names, its chains, its limits, its keys; and Ollama."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.inference.v1 import model_service_pb2
from parley_testing.fake_anthropic import FakeAnthropic
from parley_testing.fake_openai import FakeOpenAI, Reply

KEY = "of-no-known-form-7f3a9c"
NO_PATIENCE = {"retry-after": "60"}


def file_in(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def two(first: FakeOpenAI, second: FakeAnthropic) -> str:
    return f"""
        [providers.house]
        kind = "openai"
        base_url = "{first.base_url}"
        api_key_env = "HOUSE_KEY"
        max_running_calls = 5
        models.big = {{ context_window_tokens = 1000, capabilities = ["generate", "images"] }}
        models.small = {{}}

        [providers.cloud]
        kind = "anthropic"
        base_url = "{second.base_url}"
        api_key_file = "cloud.key"

        [aliases]
        default = "house/big"
        writer = "cloud/fake-claude"

        [fallbacks]
        default = ["house/small"]
        "house/big" = ["writer"]

        [prices."house/big"]
        input = 1
        output = 2
    """


@pytest.fixture
async def cloud() -> Any:
    async with FakeAnthropic() as running:
        yield running


async def models_of(service: Any) -> dict[str, Any]:
    response = await service.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=service.metadata())
    return {f"{model.provider}/{model.model}": model for model in response.models}


async def providers_of(service: Any) -> list[Any]:
    request = model_service_pb2.ListProvidersRequest()
    response = await service.models.ListProviders(request, metadata=service.metadata())
    return list(response.providers)


async def test_a_file_configures_providers_names_chains_and_prices(
    serve: Any, upstream: FakeOpenAI, cloud: FakeAnthropic, ask: Any, tmp_path: Path
) -> None:
    (tmp_path / "cloud.key").write_text("sk-cloud\n")
    cloud.key = "sk-cloud"
    cloud.reply = Reply(pieces=("from ", "the ", "cloud"))
    path = file_in(tmp_path, two(upstream, cloud))
    async with serve(PARLEY_INFERENCE_CONFIG_FILE=path, HOUSE_KEY="sk-house") as service:
        listed = await models_of(service)
        assert list(listed) == ["house/big", "house/small", "cloud/fake-claude"]
        big = listed["house/big"]
        assert (big.context_window_tokens, big.price.output_usd_micros, list(big.fallbacks)) == (
            1000,
            2_000_000,
            ["writer"],
        )
        assert list(big.capabilities) == [
            model_service_pb2.MODEL_CAPABILITY_GENERATE,
            model_service_pb2.MODEL_CAPABILITY_IMAGES,
        ]
        assert list(listed["house/small"].fallbacks) == []
        assert list(listed["cloud/fake-claude"].aliases) == ["writer"]
        found = [(one.provider, one.kind, one.max_running_calls) for one in await providers_of(service)]
        assert found == [("house", "openai", 5), ("cloud", "anthropic", 0)]
        _, failure = await service.stream(ask("x" * 6000))
        assert failure.reason == "PROMPT_TOO_LONG"
        # Its own chain, and not the one for all.
        upstream.reply = Reply(status=503, headers=NO_PATIENCE)
        responses, failure = await service.stream(ask())
        assert failure is None
        assert "".join(one.text_delta for one in responses) == "from the cloud"
        assert upstream.requests[-1].headers["authorization"] == "Bearer sk-house"


async def test_an_account_without_credit_is_replaced_and_not_tried_again(
    serve: Any, upstream: FakeOpenAI, cloud: FakeAnthropic, ask: Any, tmp_path: Path
) -> None:
    (tmp_path / "cloud.key").write_text("sk-cloud")
    upstream.reply = Reply(status=429, error={"message": "No credit.", "code": "insufficient_quota"})
    path = file_in(tmp_path, two(upstream, cloud))
    async with serve(PARLEY_INFERENCE_CONFIG_FILE=path, HOUSE_KEY="sk-house") as service:
        for _ in range(6):
            responses, failure = await service.stream(ask())
            assert failure is None
            (switched,) = [one.provider_switched for one in responses if one.HasField("provider_switched")]
            assert (switched.reason, switched.to_provider) == ("ERROR_REASON_PROVIDER_QUOTA", "cloud")
        # Asked once by each call, so neither retries nor the breaker had a part in it.
        assert len(upstream.requests) == 6
        house = (await providers_of(service))[0]
        assert house.state == model_service_pb2.PROVIDER_STATE_FAILING
        cloud.reply = Reply(status=402)
        _, failure = await service.stream(ask(model="writer"))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_QUOTA")
        assert failure.metadata["provider"] == "cloud"
        assert failure.retry_after_seconds is None


async def test_the_providers_own_figures_of_a_prompt_that_is_too_long_are_told(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens."
    upstream.reply = Reply(status=400, error={"message": words, "code": "context_length_exceeded"})
    _, failure = await online.stream(ask())
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PROMPT_TOO_LONG")
    assert (failure.metadata["tokens"], failure.metadata["limit"]) == ("8227", "8192")
    upstream.reply = Reply(status=400, error={"message": "Too long.", "code": "context_length_exceeded"})
    _, failure = await online.stream(ask())
    assert failure.reason == "PROMPT_TOO_LONG"
    # What the provider does not tell is estimated, and what nobody knows is left out.
    assert failure.metadata["tokens"] == "2"
    assert "limit" not in failure.metadata


async def test_ollama_lists_what_is_pulled_and_says_how_to_pull_the_rest(serve: Any, ask: Any) -> None:
    async with (
        FakeOpenAI(models=("llama3.2:latest", "nomic-embed-text:latest")) as ollama,
        serve(OLLAMA_HOST=f"127.0.0.1:{ollama.port}") as service,
    ):
        assert list(await models_of(service)) == ["ollama/llama3.2:latest", "ollama/nomic-embed-text:latest"]
        assert {request.path for request in ollama.requests} == {"/api/tags"}
        _, failure = await service.stream(ask(model="llama3.3"))
        assert failure.reason == "MODEL_NOT_FOUND"
        assert "ollama pull llama3.3" in failure.message
        assert failure.metadata["nearest"].startswith("llama3.2:latest")
        # A model that the operator names is asked for, and Ollama says that it has none.
        ollama.reply = Reply(status=404, error={"message": "model 'llama3.2:latest' not found"})
        _, failure = await service.stream(ask())
        assert failure.reason == "MODEL_NOT_FOUND"
        assert "ollama pull llama3.2:latest" in failure.message


async def test_something_else_at_ollamas_address_is_asked_for_openais_list(serve: Any) -> None:
    async with FakeOpenAI(models=("m",)) as other, serve(OLLAMA_HOST=other.base_url) as service:
        other.is_ollama = False
        assert list(await models_of(service)) == ["ollama/m"]


async def test_an_ollama_that_does_not_run_is_one_clear_message(serve: Any, ask: Any) -> None:
    async with serve(OLLAMA_HOST="127.0.0.1:1") as service:
        _, failure = await service.stream(ask())
    assert failure.reason == "PROVIDER_UNAVAILABLE"
    assert "ollama serve" in failure.message
    assert "127.0.0.1" not in failure.message


@pytest.mark.parametrize("is_claude", [False, True], ids=["openai", "anthropic"])
async def test_no_key_is_ever_logged_or_told(
    serve: Any, upstream: FakeOpenAI, cloud: FakeAnthropic, ask: Any, caplog: pytest.LogCaptureFixture, is_claude: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    server = cloud if is_claude else upstream
    name = "ANTHROPIC" if is_claude else "OPENAI"
    words = f"Incorrect API key provided: {KEY}. Authorization: Bearer {KEY} was refused."
    event: dict[str, Any] = {"error": {"message": words, "type": f"{KEY}_error"}}
    told: list[str] = []
    async with serve(
        **{f"{name}_BASE_URL": server.base_url, f"{name}_API_KEY": KEY, "PARLEY_INFERENCE_MODEL": "fake-model"}
    ) as service:
        for reply in (
            *(
                Reply(status=status, error={"message": words, "code": KEY, "type": KEY}, headers=NO_PATIENCE)
                for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 503)
            ),
            Reply(status=502, body=[words.encode()], headers=NO_PATIENCE),
            Reply(body=[b"data: " + json.dumps({"type": "error", **event}).encode() + b"\n\n"]),
            Reply(body=[words.encode()]),
        ):
            # An answer before each, so that the circuit breaker stays closed and everything is really said.
            server.reply = Reply()
            assert (await service.stream(ask()))[1] is None
            server.reply = reply
            _, failure = await service.stream(ask())
            assert failure is not None
            told += [failure.message, str(failure.metadata)]
        told += [str(one) for one in await providers_of(service)] + [str(await models_of(service))]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert caplog.records
    logged = [record.getMessage() + str(record.__dict__) for record in caplog.records]
    assert [line for line in (*told, *logged) if KEY in line] == []
