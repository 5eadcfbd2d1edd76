"""What is to be plugged in: the configuration file and the environment, put together and checked. Where both say the same thing, the
environment wins. Opens no connection and imports no provider's package: that is provider_assembly.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from parley_shared.settings import Secret, SettingsError

from parley_inference.adapters.patience import Patience
from parley_inference.adapters.toml_configuration import ConfigurationError, read_configuration
from parley_inference.adapters.toml_prices import PricesError, read_prices
from parley_inference.domain.call_queue import CallLimits
from parley_inference.domain.configuration import DEFAULT, Configuration, ConfiguredModel, ConfiguredProvider
from parley_inference.domain.model_families import known_model
from parley_inference.domain.models import CHAT, EMBEDDING, Capability, Model, ModelReference, Naming
from parley_inference.domain.prices import PriceList
from parley_inference.settings import InferenceSettings, base_url_of

OPENAI = "openai"
ANTHROPIC = "anthropic"
OLLAMA = "ollama"
OPENAI_BASE_URL = "https://api.openai.com/v1"
ANTHROPIC_BASE_URL = "https://api.anthropic.com"
OLLAMA_ADDRESS = "127.0.0.1"
OPENAI_DEFAULT_MODEL = "gpt-5-mini"
"""What a key alone gives: OpenAI lists a hundred models, so nobody can be asked for "the first"."""
_Value = TypeVar("_Value")
_CONFIG_FILE = "PARLEY_INFERENCE_CONFIG_FILE"
_MOST_BYTES_OF_A_KEY = 16 * 1024
_OWN_ALIASES = frozenset({"fast", "strong", "embed", DEFAULT})
"""The aliases that the settings hold; the others are the file's only."""


@dataclass(frozen=True, slots=True)
class ProviderPlan:
    """One provider, as it is to be made."""

    name: str
    kind: str
    """`openai`, `anthropic` or `ollama`."""
    base_url: str
    key: Secret | None
    prefill: str
    """Empty where it is for the host to tell."""
    max_output_tokens: int
    """What Anthropic's API is told when a request sets no limit."""
    thinking_tokens: int
    """How many tokens Anthropic's models may think before an answer; 0 for none."""
    connect_seconds: float
    patience: Patience
    limits: CallLimits
    models: tuple[Model, ...]
    """Those that are named, the most important first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be plugged in."""

    settings: InferenceSettings
    """With what the file says where the environment says nothing."""
    providers: tuple[ProviderPlan, ...]
    """The default first; none when the built-in model is to answer."""
    naming: Naming
    prices: PriceList


def plan_of(settings: InferenceSettings) -> Plan:
    """Reads the configuration file, when there is one. Raises SettingsError for what cannot be used, naming the table and the key."""
    if settings.config_file is None:
        return _Planner(settings, Configuration()).plan()
    try:
        configuration = read_configuration(settings.config_file)
    except ConfigurationError as error:
        raise _wrong(settings.config_file, str(error)) from error
    return _Planner(settings, configuration).plan()


def _wrong(file: Path, words: str) -> SettingsError:
    return SettingsError(_CONFIG_FILE, f"{file}: {words}.")


class _Planner:
    """One reading of both."""

    def __init__(self, settings: InferenceSettings, configuration: Configuration) -> None:
        self._configuration = configuration
        self._settings = _with_file(settings, configuration)
        self._tables = _tables(settings, configuration)

    def plan(self) -> Plan:
        settings = self._settings
        self._check_names()
        if not self._tables:
            settings.refuse_models_without_provider()
        naming = Naming(
            default=ModelReference(settings.model),
            aliases={
                **{name: ModelReference(text) for name, text in self._own_aliases()},
                "fast": ModelReference(settings.fast_model),
                "strong": ModelReference(settings.strong_model),
            },
            default_embedding=ModelReference(settings.embedding_model) if settings.embedding_model else None,
            fallbacks=settings.fallback_models,
            chains={name: chain for name, chain in self._configuration.fallbacks.items() if name != DEFAULT},
        )
        addresses = {name: self._address(name, table) for name, table in self._tables.items()}
        named = self._named_models(naming, addresses)
        providers = tuple(
            self._provider(name, table, addresses[name], tuple(named[name])) for name, table in self._tables.items()
        )
        return Plan(settings, providers, naming, self._prices())

    def _provider(self, name: str, table: ConfiguredProvider, base_url: str, models: tuple[Model, ...]) -> ProviderPlan:
        settings = self._settings
        prefill = settings.prefill if name == OPENAI and settings.prefill else table.prefill
        return ProviderPlan(
            name=name,
            kind=table.kind,
            base_url=base_url,
            key=self._key(name, table, base_url),
            prefill=prefill,
            max_output_tokens=_either(table.max_output_tokens, settings.anthropic_max_tokens),
            thinking_tokens=table.thinking_tokens or 0,
            connect_seconds=_either(table.connect_timeout_seconds, settings.connect_timeout_seconds),
            patience=Patience(
                first_token=_either(table.first_token_timeout_seconds, settings.first_token_timeout_seconds),
                idle=_either(table.idle_timeout_seconds, settings.idle_timeout_seconds),
                total=_either(table.total_timeout_seconds, settings.total_timeout_seconds),
            ),
            limits=CallLimits(
                _either(table.max_running_calls, settings.max_running_calls),
                _either(table.max_waiting_calls, settings.max_waiting_calls),
                _either(table.max_queue_seconds, settings.max_queue_seconds),
            ),
            models=models,
        )

    def _address(self, name: str, table: ConfiguredProvider) -> str:
        """Where a provider is: the environment's word, the file's, or where it is found when nobody says."""
        settings = self._settings
        said = {
            OPENAI: settings.openai_base_url,
            ANTHROPIC: settings.anthropic_base_url,
            OLLAMA: settings.ollama_base_url,
        }
        if own := said.get(name, ""):
            return own
        if table.base_url:
            try:
                return base_url_of(table.kind, f"providers.{name}.base_url", table.base_url)
            except SettingsError as error:
                raise self._error(str(error).removesuffix(".")) from None
        if table.kind == OLLAMA:
            return base_url_of(OLLAMA, OLLAMA, OLLAMA_ADDRESS)
        return ANTHROPIC_BASE_URL if table.kind == ANTHROPIC else OPENAI_BASE_URL

    def _key(self, name: str, table: ConfiguredProvider, base_url: str) -> Secret | None:
        said = {OPENAI: self._settings.openai_api_key, ANTHROPIC: self._settings.anthropic_api_key}
        if own := said.get(name):
            return own
        key: Secret | None = None
        if table.api_key_env:
            try:
                key = self._settings.secrets.find(table.api_key_env)
            except SettingsError:
                raise self._error(
                    f"providers.{name}.api_key_env: the variable {table.api_key_env} holds characters that no key has"
                ) from None
            if key is None:
                raise self._error(f"providers.{name}.api_key_env: the variable {table.api_key_env} is not set")
        elif table.api_key_file:
            key = self._key_in_file(f"providers.{name}.api_key_file", table.api_key_file)
        if key is None and name in self._configuration.providers and base_url in {OPENAI_BASE_URL, ANTHROPIC_BASE_URL}:
            raise self._error(f"providers.{name} needs a key: say in api_key_env which environment variable holds it")
        return key

    def _key_in_file(self, where: str, given: str) -> Secret:
        assert self._settings.config_file is not None  # noqa: S101 - for the type checker: only the file names one
        path = self._settings.config_file.parent / Path(given).expanduser()
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES_OF_A_KEY + 1).decode().strip()
        except OSError as error:
            raise self._error(f"{where}: {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            text = ""
        if (
            not text
            or len(text) > _MOST_BYTES_OF_A_KEY
            or not (text.isascii() and text.isprintable() and " " not in text)
        ):
            raise self._error(f"{where}: {path} must hold a key and nothing else")
        return Secret(text)

    def _own_aliases(self) -> Iterator[tuple[str, str]]:
        """The aliases that only the file can have."""
        return ((name, text) for name, text in self._configuration.aliases.items() if name not in _OWN_ALIASES)

    def _check_names(self) -> None:
        """Refuses names in the file that mean nothing: they would be found out when somebody asks, or when something has failed."""
        for alias, text in self._configuration.aliases.items():
            provider, _ = ModelReference(text).parts(self._tables)
            if provider is None:
                raise self._error(
                    f"aliases.{alias} must be provider/model, with a provider there is ({', '.join(self._tables) or 'none'}), "
                    f"not {text!r}"
                )
        aliases = {*self._configuration.aliases, "fast", "strong"} - {DEFAULT}
        for name, chain in self._configuration.fallbacks.items():
            if name not in aliases | {DEFAULT} and ModelReference(name).parts(self._tables)[0] is None:
                raise self._error(f"fallbacks.{name!r} must be default, an alias, or provider/model")
            for one in chain:
                if one not in aliases and ModelReference(one).parts(self._tables)[0] is None:
                    raise self._error(f"fallbacks.{name!r} must list aliases or provider/model, not {one!r}")

    def _named_models(self, naming: Naming, addresses: Mapping[str, str]) -> dict[str, list[Model]]:
        """The models that are named, by provider. A name without a provider belongs to the first."""
        named: dict[str, list[Model]] = {provider: [] for provider in self._tables}
        if not named:
            return named
        settings = self._settings
        for text in (settings.model, settings.fast_model, settings.strong_model, *settings.more_models):
            self._add(named, text, CHAT)
        self._add(named, settings.embedding_model, EMBEDDING)
        for provider, table in self._tables.items():
            for name, said in table.models.items():
                model = _said(known_model(name, provider), said)
                if all(other.name != name for other in named[provider]):
                    named[provider].append(model)
        for _, text in self._own_aliases():
            self._add(named, text, frozenset())
        for provider, models in named.items():
            is_openais_own = self._tables[provider].kind == OPENAI and addresses[provider] == OPENAI_BASE_URL
            if is_openais_own and not any(Capability.GENERATE in model.capabilities for model in models):
                models.insert(0, known_model(OPENAI_DEFAULT_MODEL, provider))
        for chain in (naming.fallbacks, *naming.chains.values()):
            for text in chain:
                provider = ModelReference(text).parts(self._tables)[0] or next(iter(self._tables))
                # Last, because the first of a provider is its default; and a server whose own list counts has it there.
                if text not in naming.aliases and any(
                    Capability.GENERATE in other.capabilities for other in named[provider]
                ):
                    self._add(named, text, CHAT)
        return named

    def _add(self, named: dict[str, list[Model]], text: str, wanted: frozenset[Capability]) -> None:
        """Adds a model that is named for writing, or for embedding: that counts more than what its name tells."""
        if not text:
            return
        provider, name = ModelReference(text).parts(self._tables)
        provider = provider or (self._first_that_embeds() if wanted == EMBEDDING else next(iter(self._tables)))
        table = self._tables[provider]
        if wanted == EMBEDDING and table.kind == ANTHROPIC:
            variable = "PARLEY_INFERENCE_EMBEDDING_MODEL"
            raise SettingsError(variable, f"{variable} names a model of Anthropic's, which has none that embeds.")
        known = known_model(name, provider)
        if not wanted <= known.capabilities:
            known = Model(name, provider, wanted)
        if name in table.models:
            known = _said(known, table.models[name])
        if all(other.name != name for other in named[provider]):
            named[provider].append(known)

    def _first_that_embeds(self) -> str:
        """The provider of an embedding model that is named without one; Anthropic when it is alone."""
        first = next(iter(self._tables))
        return next((name for name, table in self._tables.items() if table.kind != ANTHROPIC), first)

    def _prices(self) -> PriceList:
        """The prices that are certain, over them the configuration file's, over them those of the operator's own file."""
        prices = dict(read_prices(Path(__file__).with_name("prices.toml"))) | dict(self._configuration.prices)
        own = self._settings.prices_file
        if own is not None:
            try:
                prices |= read_prices(own)
            except PricesError as error:
                variable = "PARLEY_INFERENCE_PRICES_FILE"
                raise SettingsError(variable, f"{variable}: {own} {error}.") from error
        return PriceList(prices)

    def _error(self, words: str) -> SettingsError:
        assert self._settings.config_file is not None  # noqa: S101 - for the type checker: without a file, nothing of it is wrong
        return _wrong(self._settings.config_file, words)


def _with_file(settings: InferenceSettings, configuration: Configuration) -> InferenceSettings:
    """The settings with what the file says where the environment says nothing."""
    aliases = configuration.aliases
    limits = {name: value for name, value in configuration.limits.items() if name not in settings.said}
    return replace(
        settings,
        model=settings.model or aliases.get(DEFAULT, ""),
        fast_model=settings.fast_model or aliases.get("fast", ""),
        strong_model=settings.strong_model or aliases.get("strong", ""),
        embedding_model=settings.embedding_model or aliases.get("embed", ""),
        fallback_models=settings.fallback_models or configuration.fallbacks.get(DEFAULT, ()),
        **limits,  # type: ignore[arg-type]  # each has the type of its setting: toml_configuration.py reads it so
    )


def _tables(settings: InferenceSettings, configuration: Configuration) -> dict[str, ConfiguredProvider]:
    """The providers, the default first: those that only the environment knows, then the file's, in its order."""
    tables: dict[str, ConfiguredProvider] = {}
    said = {
        OPENAI: settings.openai_api_key or settings.openai_base_url,
        ANTHROPIC: settings.anthropic_api_key or settings.anthropic_base_url,
        OLLAMA: settings.ollama_base_url,
    }
    for name, given in said.items():
        if not given:
            continue
        if (table := configuration.providers.get(name)) is None:
            tables[name] = ConfiguredProvider(name)
        elif table.kind != name:
            assert settings.config_file is not None  # noqa: S101 - for the type checker: the table is in it
            raise _wrong(
                settings.config_file,
                f"providers.{name}.kind must be {name}, since the environment configures {name} too",
            )
    return tables | dict(configuration.providers)


def _either(said: _Value | None, usual: _Value) -> _Value:
    return usual if said is None else said


def _said(model: Model, said: ConfiguredModel) -> Model:
    """The model with what the file says of it."""
    return replace(
        model,
        capabilities=model.capabilities if said.capabilities is None else said.capabilities,
        context_window_tokens=model.context_window_tokens
        if said.context_window_tokens is None
        else said.context_window_tokens,
    )
