"""The configuration file: providers, aliases, fallbacks, prices and limits, in one file of TOML.

    [providers.house]
    kind = "openai"
    base_url = "http://localhost:8000/v1"

    [aliases]
    default = "house/qwen3-32b"

Every mistake is told with its table and key. Keys of providers are not in the file: it names where they are. A whole example is in
`docs/guide/add-a-provider.md`; which file it is, is bootstrap's business.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from parley_inference.adapters.toml_folder import FolderError, Table
from parley_inference.adapters.toml_prices import PricesError, prices_of
from parley_inference.domain.configuration import DEFAULT, Configuration, ConfiguredModel, ConfiguredProvider
from parley_inference.domain.models import Capability
from parley_inference.domain.prices import TokenPrice

KINDS = ("openai", "anthropic", "ollama")
PREFILLS = ("none", "last", "prefix", "continue")
MOST_BYTES = 1024 * 1024
_MOST_PROVIDERS = 50
_MOST_MODELS = 500
_MOST_ALIASES = 200
_MOST_CHAINS = 500
_MOST_IN_A_CHAIN = 20
_MOST_NAME = 200
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
"""Capitals only: it is repeated when it is not set, and no key has the form of one."""
_TABLES = ("providers", "aliases", "fallbacks", "prices", "limits")
_OF_OTHERS = ("mcp", "oidc")
"""What other services read in the same file."""
_RESERVED = "offline"
_SECRETS = {"api_key", "key", "token", "password"}

_SECONDS = {
    "connect_timeout_seconds": 300.0,
    "first_token_timeout_seconds": 3600.0,
    "idle_timeout_seconds": 3600.0,
    "total_timeout_seconds": 86_400.0,
    "max_queue_seconds": 3600.0,
}
"""The limits that are times, with the longest; the shortest is _SHORTEST."""
_SHORTEST = 0.05
_LEAST_THINKING = 1024
"""Less is refused by Anthropic's API."""
_MOST_CALLS = 10_000


class ConfigurationError(Exception):
    """A file that cannot be used. The message says in one line for a person where and why; no value that may be secret is in it."""


class _Table(Table):
    """A table that may hold others."""

    def inner(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """The tables under a key, in the order of the file; none when it is not there."""
        value = self._take(key, {})
        if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
            raise self.wrong(key, "must hold tables, one for each name")
        return value


def read_configuration(path: Path) -> Configuration:
    """What the file says. Raises ConfigurationError."""
    text = _text(path)
    try:
        values, exact = tomllib.loads(text), tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # Integers with thousands of digits are a ValueError that is not TOML's.
        raise ConfigurationError(f"is not TOML: {error}") from None
    unknown = next((name for name in values if name not in _TABLES + _OF_OTHERS), None)
    if unknown is not None:
        known = ", ".join(_TABLES + _OF_OTHERS)
        raise ConfigurationError(f"has a table {unknown[:40]!r} that is not known; there are {known}")
    for name, table in values.items():
        if not isinstance(table, dict):
            raise ConfigurationError(f"{name} must be a table: [{name}]")
    try:
        providers = _providers(values.get("providers", {}))
        return Configuration(
            providers=providers,
            aliases=_aliases(values.get("aliases", {})),
            fallbacks=_fallbacks(values.get("fallbacks", {})),
            prices=_prices(exact.get("prices", {})),
            limits=_limits(values.get("limits", {})),
        )
    except FolderError as error:
        # The table's reader names the file first, which whoever raises this does too.
        raise ConfigurationError(str(error).removeprefix(": ")) from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise ConfigurationError(f"is larger than {MOST_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise ConfigurationError(f"is not UTF-8 (line {line})") from None


def _table(name: str, values: Any) -> _Table:
    if not isinstance(values, dict):
        raise ConfigurationError(f"{name} must be a table: [{name}]")
    return _Table("", values, within=f"{name}.")


def _providers(tables: Mapping[str, Any]) -> Mapping[str, ConfiguredProvider]:
    if len(tables) > _MOST_PROVIDERS:
        raise ConfigurationError(f"providers holds more than {_MOST_PROVIDERS}")
    for name in tables:
        if not _PROVIDER.fullmatch(name) or name == _RESERVED:
            raise ConfigurationError(
                f"providers.{_shown(name)} can have no such name: 1 to 40 of a-z 0-9 _ -, and not {_RESERVED}"
            )
    return {name: _provider(f"providers.{name}", values) for name, values in tables.items()}


def _provider(name: str, values: Any) -> ConfiguredProvider:
    table = _table(name, values)
    for secret in _SECRETS:
        if table.has(secret):
            raise ConfigurationError(
                f"{name}.{secret} does not belong into this file: say in api_key_env which environment variable holds the key, "
                "or in api_key_file which file"
            )
    kind = table.choice("kind", KINDS, "")
    provider = ConfiguredProvider(
        kind=kind,
        base_url=table.text("base_url", most=2000, default=""),
        api_key_env=table.text("api_key_env", most=128, default=""),
        api_key_file=table.text("api_key_file", most=4000, default=""),
        prefill=table.choice("prefill", ("", *PREFILLS), ""),
        max_output_tokens=table.integer("max_output_tokens", least=1, most=1_000_000, default=None),
        thinking_tokens=table.integer("thinking_tokens", least=_LEAST_THINKING, most=1_000_000, default=None),
        max_running_calls=table.integer("max_running_calls", least=0, most=_MOST_CALLS, default=None),
        max_waiting_calls=table.integer("max_waiting_calls", least=0, most=_MOST_CALLS, default=None),
        models={
            model: _model(f"{name}.models.{_shown(model)}", model, inner)
            for model, inner in table.inner("models").items()
        },
        **{key: table.number(key, least=_SHORTEST, most=most) for key, most in _SECONDS.items()},
    )
    table.end()
    if len(provider.models) > _MOST_MODELS:
        raise ConfigurationError(f"{name}.models holds more than {_MOST_MODELS}")
    if provider.api_key_env and not _VARIABLE.fullmatch(provider.api_key_env):
        # It may be the key itself, so it is not repeated.
        raise ConfigurationError(
            f"{name}.api_key_env must be the name of an environment variable, in capitals, and not the key"
        )
    if provider.api_key_env and provider.api_key_file:
        raise ConfigurationError(f"{name} has both api_key_env and api_key_file: one of them is enough")
    if provider.prefill and kind != "openai":
        raise ConfigurationError(f"{name}.prefill is for the kind openai only")
    if provider.max_output_tokens is not None and kind != "anthropic":
        raise ConfigurationError(f"{name}.max_output_tokens is for the kind anthropic only")
    if provider.thinking_tokens is not None and kind != "anthropic":
        raise ConfigurationError(f"{name}.thinking_tokens is for the kind anthropic only")
    return provider


def _model(where: str, model: str, values: Mapping[str, Any]) -> ConfiguredModel:
    if not model or len(model) > _MOST_NAME or not model.isprintable():
        raise ConfigurationError(f"{where} can have no such name")
    table = _table(where, values)
    said = table.texts("capabilities", most=len(Capability), most_characters=40) if table.has("capabilities") else None
    window = table.integer("context_window_tokens", least=1, most=100_000_000, default=None)
    if said is None:
        # So that the error for an unknown key names this one too.
        table.texts("capabilities", most=0, most_characters=1)
    table.end()
    unknown = next((one for one in said or () if one not in set(Capability)), None)
    if unknown is not None:
        raise ConfigurationError(f"{where}.capabilities must be of {', '.join(Capability)}, and not {_shown(unknown)}")
    capabilities = None if said is None else frozenset(Capability(one) for one in said)
    if capabilities is not None and not capabilities & {Capability.GENERATE, Capability.EMBED}:
        raise ConfigurationError(f"{where}.capabilities must hold generate or embed: nothing can be asked of it else")
    return ConfiguredModel(capabilities, window)


def _aliases(values: Mapping[str, Any]) -> Mapping[str, str]:
    table = _table("aliases", values)
    if len(values) > _MOST_ALIASES:
        raise ConfigurationError(f"aliases holds more than {_MOST_ALIASES}")
    for alias in values:
        if not _ALIAS.fullmatch(alias):
            raise ConfigurationError(f"aliases.{_shown(alias)} can have no such name: 1 to 64 of A-Z a-z 0-9 _ . -")
    return {alias: table.text(alias, most=_MOST_NAME) for alias in values}


def _fallbacks(values: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    table = _table("fallbacks", values)
    if len(values) > _MOST_CHAINS:
        raise ConfigurationError(f"fallbacks holds more than {_MOST_CHAINS}")
    chains = {name: table.texts(name, most=_MOST_IN_A_CHAIN, most_characters=_MOST_NAME) for name in values}
    for name, chain in chains.items():
        if name in chain and name != DEFAULT:
            raise ConfigurationError(f"fallbacks.{_shown(name)} names itself")
    return chains


def _prices(values: Mapping[str, Any]) -> Mapping[str, TokenPrice]:
    try:
        return prices_of(values)
    except PricesError as error:
        raise ConfigurationError(f"prices {error}") from None


def _limits(values: Mapping[str, Any]) -> Mapping[str, float]:
    table = _table("limits", values)
    limits: dict[str, float | None] = {
        key: table.number(key, least=_SHORTEST, most=most) for key, most in _SECONDS.items()
    }
    limits["max_running_calls"] = table.integer("max_running_calls", least=0, most=_MOST_CALLS, default=None)
    limits["max_waiting_calls"] = table.integer("max_waiting_calls", least=0, most=_MOST_CALLS, default=None)
    limits["max_answer_characters"] = table.integer("max_answer_characters", least=1, most=1_000_000, default=None)
    table.end()
    return {name: limit for name, limit in limits.items() if limit is not None}


def _shown(name: str) -> str:
    """A name as an error repeats it."""
    return repr(name if len(name) <= 40 else f"{name[:40]}…")
