"""Settings: typed reading, errors for people, nothing secret shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from parley_shared.settings import Environment, Secret, ServiceSettings, SettingsError, describe


def test_an_unset_and_an_empty_variable_have_the_default() -> None:
    environment = Environment({"EMPTY": "  "})
    assert environment.text("UNSET", "a") == "a"
    assert environment.text("EMPTY", "a") == "a"
    assert environment.integer("EMPTY", 7, least=0, most=9) == 7
    assert environment.number("EMPTY", 0.5, least=0, most=1) == 0.5
    assert environment.flag("EMPTY", default=True) is True
    assert environment.choice("EMPTY", "x", ["x", "y"]) == "x"
    assert environment.path("EMPTY", Path("p")) == Path("p")
    assert environment.secret("EMPTY") is None


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("No", False)]
)
def test_flags_are_read_from_the_usual_words(word: str, value: bool) -> None:
    assert Environment({"F": word}).flag("F", default=not value) is value


@pytest.mark.parametrize("given", ["-1", "10", "1.5", "many", "1e3"])
def test_a_wrong_whole_number_is_one_line_that_names_the_variable_its_bounds_and_its_value(given: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Environment({"PARLEY_N": given}).integer("PARLEY_N", 1, least=0, most=9)
    assert caught.value.variable == "PARLEY_N"
    assert str(caught.value) == f"PARLEY_N must be a whole number from 0 to 9, not {given!r}."


@pytest.mark.parametrize("given", ["nan", "inf", "-0.1", "x"])
def test_a_wrong_number_is_refused_also_when_it_is_not_a_number(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^PARLEY_N must be a number from 0 to 1"):
        Environment({"PARLEY_N": given}).number("PARLEY_N", 1, least=0, most=1)


def test_a_wrong_flag_and_a_wrong_choice_say_what_would_be_right() -> None:
    environment = Environment({"F": "perhaps", "C": "blue"})
    with pytest.raises(SettingsError, match="F must be true or false, not 'perhaps'"):
        environment.flag("F", default=False)
    with pytest.raises(SettingsError, match="C must be one of red, green, not 'blue'"):
        environment.choice("C", "red", ["red", "green"])


def test_a_long_wrong_value_is_not_repeated_whole() -> None:
    with pytest.raises(SettingsError) as caught:
        Environment({"N": "secret-" * 50}).integer("N", 1, least=0, most=9)
    assert len(str(caught.value)) < 120


def test_a_secret_is_revealed_only_when_it_is_asked_to() -> None:
    secret = Environment({"KEY": "sk-123"}).secret("KEY")
    assert secret is not None
    assert secret.reveal() == "sk-123"
    assert f"{secret} {secret!r}" == "[set] [set]"
    assert str(Secret("")) == "[not set]"


def test_settings_are_described_line_by_line_without_secrets_and_passwords() -> None:
    @dataclass(frozen=True)
    class Inner:
        key: Secret

    @dataclass(frozen=True)
    class Outer:
        url: str
        inner: Inner
        empty: str
        missing: Secret | None

    lines = describe(Outer("postgresql://ann:hunter2@db/parley", Inner(Secret("sk-123")), "", None))
    assert lines == [
        "url = postgresql://ann:[set]@db/parley",
        "inner.key = [set]",
        "empty = [not set]",
        "missing = [not set]",
    ]


@pytest.mark.parametrize("password", ["a@b", "a/b", "a:b", "p#?"])
def test_a_password_is_redacted_whatever_it_is_made_of(password: str) -> None:
    @dataclass(frozen=True)
    class Settings:
        url: str

    (line,) = describe(Settings(f"postgresql://ann:{password}@db/parley"))
    assert line == "url = postgresql://ann:[set]@db/parley"


def test_the_settings_of_all_services_have_the_defaults_that_the_readme_tells() -> None:
    settings = ServiceSettings.read(Environment({}), service="chat", default_port=50051)
    assert (settings.host, settings.port) == ("127.0.0.1", 50051)
    assert settings.home == Path.cwd() / ".parley"
    assert settings.jwks_file == settings.home / "keys" / "jwks.json"
    assert (settings.token_issuer, settings.token_audience) == ("parley", "parley")
    assert (settings.log_level, settings.log_format, settings.otlp_endpoint) == ("info", "auto", "")
    assert (settings.drain_seconds, settings.stream_idle_seconds) == (10, 300)
    assert settings.max_message_bytes == 4 * 1024 * 1024


def test_each_service_has_a_port_variable_of_its_own() -> None:
    environment = Environment({"PARLEY_CHAT_PORT": "1", "PARLEY_RETRIEVAL_PORT": "2", "PARLEY_HOME": "/data"})
    assert ServiceSettings.read(environment, service="chat", default_port=9).port == 1
    retrieval = ServiceSettings.read(environment, service="retrieval", default_port=9)
    assert retrieval.port == 2
    assert retrieval.jwks_file == Path("/data/keys/jwks.json")
