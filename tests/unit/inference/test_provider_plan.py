"""What is plugged in: the configuration file, the environment, and what comes of both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from parley_inference.domain.models import Capability, ModelReference
from parley_inference.domain.prices import PriceList
from parley_inference.provider_plan import Plan, ProviderPlan, plan_of
from parley_inference.settings import InferenceSettings
from parley_shared.settings import Environment, SettingsError, describe

ROOT = Path(__file__).parents[3]
KEY = "sk-very-secret-0123456789"
HOUSE = '[providers.house]\nkind = "openai"\nbase_url = "http://house:8000/v1"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def settings_of(home: Path, text: str, **variables: str) -> InferenceSettings:
    (home / "parley.toml").write_text(text, encoding="utf-8")
    return InferenceSettings.read(Environment({"PARLEY_HOME": str(home), **variables}))


def planned(home: Path, text: str, **variables: str) -> Plan:
    return plan_of(settings_of(home, text, **variables))


def by_name(plan: Plan) -> dict[str, ProviderPlan]:
    return {provider.name: provider for provider in plan.providers}


def example() -> str:
    guide = (ROOT / "docs" / "guide" / "add-a-provider.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```toml\n(.*?)```", guide, re.DOTALL) if "[providers." in one]
    return str(block)


def test_the_example_of_the_guide_means_what_it_says(home: Path) -> None:
    (home / "claude.key").write_text(f"{KEY}\n")
    plan = planned(home, example(), HOUSE_API_KEY="sk-house")
    assert [(one.name, one.kind, one.base_url) for one in plan.providers] == [
        ("house", "openai", "http://127.0.0.1:8000/v1"),
        ("claude", "anthropic", "https://api.anthropic.com"),
        ("laptop", "ollama", "http://127.0.0.1:11434/v1"),
    ]
    house, claude, laptop = plan.providers
    assert house.key is not None
    assert claude.key is not None
    assert (house.key.reveal(), claude.key.reveal(), laptop.key) == ("sk-house", KEY, None)
    assert (house.prefill, house.limits.max_running, house.patience.first_token) == ("continue", 4, 120)
    assert (claude.limits.max_running, claude.patience.first_token, claude.max_output_tokens) == (32, 60, 32_000)
    assert (claude.thinking_tokens, house.thinking_tokens) == (8_000, 0)
    qwen = house.models[0]
    assert (qwen.name, qwen.context_window_tokens) == ("qwen3-32b", 131_072)
    assert qwen.capabilities == {Capability.GENERATE, Capability.TOOLS, Capability.STRUCTURED_OUTPUT}
    assert [model.name for model in claude.models] == ["claude-opus-4-6", "claude-sonnet-4-6"]
    assert claude.models[0].context_window_tokens == 1_000_000
    assert plan.naming.default == ModelReference("house/qwen3-32b")
    assert plan.naming.default_embedding == ModelReference("house/bge-m3")
    assert plan.naming.aliases["writer"] == ModelReference("claude/claude-sonnet-4-6")
    assert plan.naming.fallbacks == ("laptop/llama3.2",)
    assert plan.naming.chains == {"strong": ("writer", "house/qwen3-32b"), "house/qwen3-32b": ("writer",)}
    price = plan.prices.price_of("claude", "claude-opus-4-6")
    assert price is not None
    assert (price.input_usd_micros, price.cached_input_usd_micros) == (5_000_000, 500_000)
    assert "default" not in plan.naming.aliases


def test_without_a_file_and_without_variables_nobody_is_planned(home: Path) -> None:
    plan = plan_of(InferenceSettings.read(Environment({"PARLEY_HOME": str(home)})))
    assert plan.providers == ()
    assert isinstance(plan.prices, PriceList)


def test_the_file_may_be_anywhere_and_must_be_there_when_it_is_named(home: Path) -> None:
    other = home / "elsewhere.toml"
    other.write_text(HOUSE)
    environment = {"PARLEY_HOME": str(home), "PARLEY_INFERENCE_CONFIG_FILE": str(other)}
    assert list(by_name(plan_of(InferenceSettings.read(Environment(environment))))) == ["house"]
    other.unlink()
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        plan_of(InferenceSettings.read(Environment(environment)))


def test_variables_win_where_both_say_the_same_and_the_rest_stays(home: Path) -> None:
    text = (
        '[providers.house]\nkind = "openai"\nbase_url = "http://house:8000/v1"\nidle_timeout_seconds = 7\n'
        '[providers.openai]\nkind = "openai"\nbase_url = "http://file:1/v1"\napi_key_env = "UNSET"\nmax_running_calls = 3\n'
        '[aliases]\ndefault = "house/a"\nfast = "house/b"\n'
        '[fallbacks]\ndefault = ["fast"]\n'
        "[limits]\nidle_timeout_seconds = 9\ntotal_timeout_seconds = 99\n"
        "[prices.a]\ninput = 1\noutput = 1\n[prices.b]\ninput = 1\noutput = 1\n"
    )
    prices = home / "prices.toml"
    prices.write_text("[a]\ninput = 2\noutput = 2\n")
    plan = planned(
        home,
        text,
        OPENAI_BASE_URL="http://env:2/v1",
        OPENAI_API_KEY=KEY,
        ANTHROPIC_API_KEY=KEY,
        PARLEY_INFERENCE_MODEL="openai/m",
        PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS="11",
        PARLEY_INFERENCE_FALLBACK_MODELS="house/a",
        PARLEY_INFERENCE_PRICES_FILE=str(prices),
    )
    # Whom only variables configure comes first; the others keep the file's order.
    assert [one.name for one in plan.providers] == ["anthropic", "house", "openai"]
    found = by_name(plan)
    openai = found["openai"]
    assert openai.key is not None
    assert (openai.base_url, openai.key.reveal(), openai.limits.max_running) == ("http://env:2/v1", KEY, 3)
    assert (found["house"].patience.idle, openai.patience.idle, openai.patience.total) == (7, 11, 99)
    assert plan.naming.default == ModelReference("openai/m")
    assert plan.naming.aliases["fast"] == ModelReference("house/b")
    assert plan.naming.fallbacks == ("house/a",)
    one, other = plan.prices.price_of("house", "a"), plan.prices.price_of("house", "b")
    assert one is not None
    assert other is not None
    assert (one.input_usd_micros, other.input_usd_micros) == (2_000_000, 1_000_000)


def test_a_provider_without_models_offers_what_it_lists_and_openais_own_has_one(home: Path) -> None:
    plan = planned(home, HOUSE + '[providers.gpt]\nkind = "openai"\napi_key_env = "GPT_KEY"\n', GPT_KEY=KEY)
    found = by_name(plan)
    assert found["house"].models == ()
    assert [model.name for model in found["gpt"].models] == ["gpt-5-mini"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[provider.x]\n", "a table 'provider' that is not known"),
        ("providers = 1\n", r"providers must be a table: \[providers\]"),
        ("[providers]\nhouse = 1\n", r"providers.house must be a table"),
        ('[providers.House]\nkind = "openai"\n', "providers.'House' can have no such name"),
        ('[providers.offline]\nkind = "openai"\n', "providers.'offline' can have no such name"),
        ("[providers.house]\n", "providers.house.kind must be one of openai, anthropic, ollama"),
        ('[providers.house]\nkind = "google"\n', "providers.house.kind must be one of"),
        (HOUSE + 'url = "x"\n', "providers.house.url is not known; there are api_key_env"),
        (HOUSE.replace("http://", "ftp://"), "providers.house.base_url must be the URL of a server"),
        (HOUSE.replace("house:8000", "me:secret@house"), "providers.house.base_url must be the URL of a server"),
        (HOUSE + f'api_key = "{KEY}"\n', "providers.house.api_key does not belong into this file"),
        (HOUSE + f'api_key_env = "{KEY}"\n', "providers.house.api_key_env must be the name of an environment variable"),
        (HOUSE + 'api_key_env = "AIzaOtherSecret7"\n', "api_key_env must be the name of an environment variable"),
        (HOUSE + 'api_key_env = "UNSET_KEY"\n', "api_key_env: the variable UNSET_KEY is not set"),
        (HOUSE + 'api_key_env = "BROKEN"\n', "the variable BROKEN holds characters that no key has"),
        (HOUSE + 'api_key_file = "none.key"\n', "api_key_file: .* cannot be read: No such file"),
        (HOUSE + 'api_key_file = "parley.toml"\n', "must hold a key and nothing else"),
        (HOUSE + 'api_key_file = "a"\napi_key_env = "B"\n', "providers.house has both"),
        ('[providers.gpt]\nkind = "openai"\n', "providers.gpt needs a key"),
        ('[providers.claude]\nkind = "anthropic"\n', "providers.claude needs a key"),
        ('[providers.a]\nkind = "ollama"\nprefill = "last"\n', "providers.a.prefill is for the kind openai only"),
        (HOUSE + "max_output_tokens = 5\n", "max_output_tokens is for the kind anthropic only"),
        (HOUSE + "thinking_tokens = 2000\n", "thinking_tokens is for the kind anthropic only"),
        (HOUSE + 'prefill = "yes"\n', "providers.house.prefill must be one of"),
        (
            HOUSE + "max_running_calls = -1\n",
            "providers.house.max_running_calls must be a whole number from 0 to 10000",
        ),
        (
            HOUSE + "idle_timeout_seconds = nan\n",
            "providers.house.idle_timeout_seconds must be a number from 0.05 to 3600",
        ),
        (HOUSE + "models = 3\n", "providers.house.models must hold tables"),
        (
            HOUSE + "[providers.house.models.a]\nwindow = 1\n",
            "models.'a'.window is not known; there are capabilities, context",
        ),
        (HOUSE + '[providers.house.models.a]\ncapabilities = ["fly"]\n', "models.'a'.capabilities must be of generate"),
        (HOUSE + '[providers.house.models.a]\ncapabilities = ["tools"]\n', "capabilities must hold generate or embed"),
        (HOUSE + "[providers.house.models.a]\ncontext_window_tokens = 0\n", "must be a whole number from 1 to"),
        (HOUSE + '[aliases]\nfast = "gpt-5"\n', r"aliases.fast must be provider/model, .*\(house\), not 'gpt-5'"),
        (HOUSE + '[aliases]\n"a b" = "house/x"\n', "aliases.'a b' can have no such name"),
        (HOUSE + "[aliases]\nfast = 1\n", "aliases.fast must be a text"),
        ('[aliases]\nfast = "house/x"\n', r"aliases.fast must be provider/model, .*\(none\)"),
        (HOUSE + '[fallbacks]\nslow = ["house/x"]\n', "fallbacks.'slow' must be default, an alias, or provider/model"),
        (HOUSE + '[fallbacks]\ndefault = ["nobody/x"]\n', "fallbacks.'default' must list aliases or provider/model"),
        (HOUSE + '[fallbacks]\n"house/x" = ["house/x"]\n', "fallbacks.'house/x' names itself"),
        (HOUSE + '[fallbacks]\ndefault = "house/x"\n', "fallbacks.default must be a list"),
        ("[prices.m]\ninput = 1\n", "prices does not say the output price of the model 'm'"),
        ("[prices.m]\ninput = 0.1234567\noutput = 1\n", "prices has no price in the input"),
        ("[limits]\nidle = 3\n", "limits.idle is not known"),
        ("[limits]\nmax_waiting_calls = 1.5\n", "limits.max_waiting_calls must be a whole number"),
        ("[limits\n", r"is not TOML: .*line 1"),
        ("#" * 1_100_000, "is larger than"),
    ],
)
def test_every_mistake_is_told_with_its_table_and_key_and_without_a_secret(home: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as raised:
        planned(home, text, BROKEN="sk-a b")
    assert raised.value.variable == "PARLEY_INFERENCE_CONFIG_FILE"
    message = str(raised.value)
    assert message.startswith(f"{home / 'parley.toml'}: ")
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 500
    for secret in (KEY, "sk-a", "secret@", "Secret7"):
        assert secret not in message


def test_a_file_that_is_no_text_says_where(home: Path) -> None:
    settings = settings_of(home, "")
    (home / "parley.toml").write_bytes(b"# one\n# \xff\n")
    with pytest.raises(SettingsError, match=r"is not UTF-8 \(line 2\)"):
        plan_of(settings)


def test_a_variable_that_speaks_of_another_kind_is_refused(home: Path) -> None:
    text = '[providers.openai]\nkind = "anthropic"\nbase_url = "http://x"\n'
    with pytest.raises(SettingsError, match=r"providers\.openai\.kind must be openai"):
        planned(home, text, OPENAI_API_KEY=KEY)


def test_a_model_that_nobody_would_run_is_refused_with_a_file_too(home: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        planned(home, "[limits]\nmax_running_calls = 1\n", PARLEY_INFERENCE_MODEL="some-model")
    assert raised.value.variable == "PARLEY_INFERENCE_MODEL"


def test_no_key_is_shown_by_the_settings_or_the_plan(home: Path) -> None:
    (home / "claude.key").write_text(KEY)
    settings = settings_of(home, example(), HOUSE_API_KEY=KEY, OPENAI_API_KEY=KEY, ANTHROPIC_API_KEY=KEY)
    shown = "\n".join([*describe(settings), repr(settings), str(settings), repr(plan_of(settings))])
    assert KEY not in shown
    assert "[set]" in shown
