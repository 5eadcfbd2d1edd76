"""What the configuration file may say: providers, names, chains, prices and limits. Not how it is written (adapters/toml_configuration.py),
and not what comes of it together with the environment (provider_plan.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from parley_inference.domain.models import Capability
from parley_inference.domain.prices import TokenPrice

DEFAULT = "default"
"""The name that stands for the default model among the aliases, and for the chain of all models among the fallbacks."""


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """What the file says of a model. What it does not say, its name may tell."""

    capabilities: frozenset[Capability] | None = None
    context_window_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ConfiguredProvider:
    """A table of a provider. None, and empty texts: the file does not say it."""

    kind: str
    """`openai`, `anthropic` or `ollama`."""
    base_url: str = ""
    api_key_env: str = ""
    """The environment variable that holds the key."""
    api_key_file: str = ""
    """The file that holds the key; a relative path begins at the configuration file."""
    prefill: str = ""
    max_output_tokens: int | None = None
    """What Anthropic's API is told when a request sets no limit."""
    thinking_tokens: int | None = None
    """How many tokens Anthropic's models may think before an answer; None for none."""
    max_running_calls: int | None = None
    max_waiting_calls: int | None = None
    max_queue_seconds: float | None = None
    connect_timeout_seconds: float | None = None
    first_token_timeout_seconds: float | None = None
    idle_timeout_seconds: float | None = None
    total_timeout_seconds: float | None = None
    models: Mapping[str, ConfiguredModel] = field(default_factory=dict)
    """In the order of the file: the first is the provider's default."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that the file says."""

    providers: Mapping[str, ConfiguredProvider] = field(default_factory=dict)
    """In the order of the file."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Each a `provider/model`; `default` among them."""
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Chains by alias or `provider/model`; `default` among them."""
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    """By the names of the settings that they stand for."""
