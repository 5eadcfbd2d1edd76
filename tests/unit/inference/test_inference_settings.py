"""Which providers and models the environment configures."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_inference.adapters.completion_request import Prefill
from parley_inference.settings import PREFILLS, InferenceSettings
from parley_shared.settings import Environment, SettingsError, describe


def read(**variables: str) -> InferenceSettings:
    return InferenceSettings.read(Environment(variables))


def test_nothing_configured_means_no_provider_and_known_patience() -> None:
    settings = read()
    assert not settings.has_provider
    assert settings.service.port == 50052
    assert settings.first_token_timeout_seconds == 60
    assert settings.idle_timeout_seconds == 30
    assert settings.offline_tokens_per_second == 200


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost", "http://localhost:11434/v1"),
        ("127.0.0.1:9999", "http://127.0.0.1:9999/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("http://box:1234/", "http://box:1234/v1"),
        ("http://box:1234/v1", "http://box:1234/v1"),
        ("https://ollama.example.org", "https://ollama.example.org:443/v1"),
        ("http://[::1]:11434", "http://[::1]:11434/v1"),
        ("https://example.org/ollama", "https://example.org:443/ollama/v1"),
    ],
)
def test_ollama_host_is_understood_as_ollama_understands_it(given: str, url: str) -> None:
    assert read(OLLAMA_HOST=given).ollama_base_url == url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://gate:8000", "http://gate:8000"),
        ("http://gate:8000/v1/", "http://gate:8000"),
        ("https://gate.example.org/anthropic", "https://gate.example.org/anthropic"),
    ],
)
def test_anthropics_address_is_understood_with_and_without_its_version(given: str, url: str) -> None:
    settings = read(ANTHROPIC_BASE_URL=given)
    assert settings.anthropic_base_url == url
    assert settings.has_provider
    assert not settings.openai_base_url


def test_anthropics_key_alone_is_a_provider_and_is_told_by_its_presence_only() -> None:
    settings = read(ANTHROPIC_API_KEY="sk-ant-very-secret", PARLEY_INFERENCE_MODEL="claude-x")
    assert settings.has_provider
    assert "very-secret" not in str(describe(settings)) + repr(settings)
    with pytest.raises(SettingsError) as raised:
        read(ANTHROPIC_API_KEY="sk-ant-a\nb")
    assert raised.value.variable == "ANTHROPIC_API_KEY"
    assert "sk-ant" not in str(raised.value)


@pytest.mark.parametrize("value", ["0", "-1", "1000001", "many"])
def test_a_limit_that_no_answer_can_have_is_refused(value: str) -> None:
    assert read().anthropic_max_tokens == 32_000
    with pytest.raises(SettingsError) as raised:
        read(PARLEY_INFERENCE_ANTHROPIC_MAX_TOKENS=value)
    assert raised.value.variable == "PARLEY_INFERENCE_ANTHROPIC_MAX_TOKENS"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://user:pass@host/v1",
        "http://host/v1?key=1",
        "http://host:99999/v1",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        with pytest.raises(SettingsError) as raised:
            read(**{variable: url})
        assert raised.value.variable == variable
        assert "pass" not in str(raised.value)


def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as raised:
        read(OPENAI_API_KEY="sk-a\nb")
    assert "sk-a" not in str(raised.value)


@pytest.mark.parametrize(
    "variable",
    [
        "PARLEY_INFERENCE_MODEL",
        "PARLEY_INFERENCE_FAST_MODEL",
        "PARLEY_INFERENCE_STRONG_MODEL",
        "PARLEY_INFERENCE_MODELS",
        "PARLEY_INFERENCE_FALLBACK_MODELS",
        "PARLEY_INFERENCE_EMBEDDING_MODEL",
    ],
)
def test_a_model_that_nobody_would_run_is_refused_instead_of_replaced(variable: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**{variable: "some-model"})
    assert raised.value.variable == variable
    assert read(**{variable: "some-model", "OPENAI_API_KEY": "k"}).has_provider


def test_the_key_is_told_by_its_presence_only() -> None:
    lines = describe(read(OPENAI_API_KEY="sk-very-secret"))
    assert "openai_api_key = [set]" in lines
    assert not any("very-secret" in line for line in lines)


def test_further_models_are_a_list() -> None:
    assert read(OPENAI_API_KEY="k", PARLEY_INFERENCE_MODELS=" a, b ,,c ").more_models == ("a", "b", "c")


@pytest.mark.parametrize("value", ["-1", "10001", "fast", "nan"])
def test_a_rate_out_of_its_bounds_is_refused(value: str) -> None:
    with pytest.raises(SettingsError):
        read(PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND=value)


def test_prices_come_from_a_file_only_when_one_is_named() -> None:
    assert read().prices_file is None
    assert read(PARLEY_INFERENCE_PRICES_FILE="prices.toml").prices_file == Path("prices.toml")


def test_how_a_server_goes_on_is_one_of_the_forms_that_are_spoken() -> None:
    assert tuple(form.value for form in Prefill) == PREFILLS
    assert read().prefill == ""
    assert read(PARLEY_INFERENCE_PREFILL="Continue").prefill == "continue"
    with pytest.raises(SettingsError) as raised:
        read(PARLEY_INFERENCE_PREFILL="yes")
    assert raised.value.variable == "PARLEY_INFERENCE_PREFILL"


@pytest.mark.parametrize("value", ["0", "-1", "1000001", "many"])
def test_a_most_that_an_answer_could_not_be_gone_on_with_is_refused(value: str) -> None:
    assert read().max_answer_characters == 1_000_000
    with pytest.raises(SettingsError) as raised:
        read(PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS=value)
    assert raised.value.variable == "PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS"


S3 = {"AWS_ACCESS_KEY_ID": "key-id", "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_SESSION_TOKEN": "while-it-lasts"}


@pytest.mark.parametrize(
    ("given", "bucket", "prefix"),
    [
        ("s3://my-bucket", "my-bucket", ""),
        ("s3://my-bucket/", "my-bucket", ""),
        ("s3://my.bucket/parley/scoring/", "my.bucket", "parley/scoring"),
    ],
)
def test_a_place_in_a_bucket_is_understood_as_awss_tools_write_it(given: str, bucket: str, prefix: str) -> None:
    s3 = read(PARLEY_INFERENCE_SCORING_S3=given, AWS_ENDPOINT_URL="http://127.0.0.1:9000/", **S3).scoring_s3
    assert s3 is not None
    assert (s3.bucket, s3.prefix) == (bucket, prefix)
    assert (s3.endpoint_url, s3.region) == ("http://127.0.0.1:9000", "us-east-1")


def test_without_a_place_in_a_bucket_nothing_of_awss_is_read() -> None:
    assert read(AWS_ACCESS_KEY_ID="half", AWS_ENDPOINT_URL="nonsense").scoring_s3 is None


@pytest.mark.parametrize(
    "given",
    [
        "my-bucket",
        "https://my-bucket",
        "s3://",
        "s3://My_Bucket",
        "s3:///x",
        "s3://my-bucket/../x",
        "s3://my-bucket/a//b",
        "s3://my-bucket/a b",
        "s3://my-bucket/" + "x" * 501,
    ],
)
def test_what_is_no_place_in_a_bucket_is_refused(given: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(PARLEY_INFERENCE_SCORING_S3=given)
    assert raised.value.variable == "PARLEY_INFERENCE_SCORING_S3"


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"AWS_ACCESS_KEY_ID": "key-id"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "very-secret"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL": "s3.example.com"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "https://me:very-secret@s3.example.com"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "https://s3.example.com:99999"}, "AWS_ENDPOINT_URL"),
    ],
)
def test_half_a_key_or_no_address_of_a_server_is_refused_by_its_name(variables: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(PARLEY_INFERENCE_SCORING_S3="s3://my-bucket", **variables)
    assert raised.value.variable == names
    assert "very-secret" not in str(raised.value)


def test_the_credentials_of_a_bucket_are_never_shown() -> None:
    shown = "\n".join(describe(read(PARLEY_INFERENCE_SCORING_S3="s3://my-bucket/x", **S3)))
    assert "my-bucket" in shown
    assert "very-secret" not in shown
    assert "while-it-lasts" not in shown
