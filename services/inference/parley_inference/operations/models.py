"""Which models there are, and which one a request means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from parley_inference.domain.errors import ModelNotCapableError, ModelNotFoundError, ProviderError
from parley_inference.domain.model_families import known_model
from parley_inference.domain.models import Capability, Model, ModelReference, Naming, nearest_models
from parley_inference.domain.prices import PriceList, TokenPrice
from parley_inference.domain.provider_health import ProviderState
from parley_inference.operations.providers import Provider

_logger = logging.getLogger(__name__)

DIRECTORY_SECONDS = 60.0
"""How long a provider's list of models is believed. Ollama's changes whenever its user pulls one."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model with what there is to tell of it beside itself."""

    model: Model
    aliases: tuple[str, ...]
    """Its other names, in alphabetical order."""
    price: TokenPrice | None
    """None when it is not known."""
    provider_state: ProviderState
    fallbacks: tuple[str, ...]
    """The models that go on when it fails, in their order, as a request names them."""


class Models:
    """Resolves names. The first provider is the one that a name without a provider means, when it has such a model."""

    def __init__(
        self,
        providers: Sequence[Provider],
        naming: Naming,
        *,
        clock: Callable[[], float],
        prices: PriceList = PriceList({}),  # noqa: B008 - it holds nothing and never changes
    ) -> None:
        self._providers: Mapping[str, Provider] = {provider.name: provider for provider in providers}
        self._naming = naming
        self._prices = prices
        self._directories = {
            provider.name: _Directory(provider, clock) for provider in providers if provider.directory is not None
        }

    def provider(self, name: str) -> Provider:
        """The configured provider of this name."""
        return self._providers[name]

    def providers(self) -> Sequence[Provider]:
        """The configured providers, the default first; the one of the default model, where a model is named as that."""
        default, _ = self._naming.default.parts(self._providers)
        return sorted(self._providers.values(), key=lambda provider: provider.name != default)

    @property
    def is_offline(self) -> bool:
        """Whether there is nobody but the built-in model."""
        return all(provider.kind == "offline" for provider in self._providers.values())

    def fallbacks_of(self, name: str) -> Sequence[str]:
        """The names of the models that go on, in this order, when the one that a request calls `name` fails."""
        chains = self._naming.chains
        reference = self._aliases().get(name) or ModelReference(name)
        if not reference.text:
            reference = self._naming.default if self._naming.default.text else self._first_known()
        provider, model = reference.parts(self._providers)
        for one in (name, reference.text, model if provider is None else f"{provider}/{model}"):
            if one in chains:
                return chains[one]
        if provider is None:
            # Named without its provider: the first that has such a model is meant, as everywhere.
            for owner in self._providers.values():
                if (key := f"{owner.name}/{model}") in chains and any(own.name == model for own in owner.models):
                    return chains[key]
        return self._naming.fallbacks

    def price_of(self, provider: str, model: str) -> TokenPrice | None:
        """What the tokens of a model cost, named as its provider names it; None when that is not known."""
        return self._prices.price_of(provider, model)

    async def resolve(self, name: str, capability: Capability) -> Model:
        """The model that `name` means: a model, `provider/model`, or an alias; the default when it is empty.

        Raises ModelNotFoundError, ModelNotCapableError, and ProviderError when the provider had to be asked and did not answer.
        """
        model = await self._meant(name, capability)
        if capability not in model.capabilities:
            raise ModelNotCapableError(name or model.name, capability.value)
        return model

    async def listed(self) -> Sequence[ListedModel]:
        """All models, the default first. A provider that does not answer offers none; the default's has to."""
        default = await self._default()
        models = [default]
        for provider in self._providers.values():
            try:
                offered = await self._offered(provider)
            except ProviderError as error:
                _logger.warning("the models of %s are not listed: %s", provider.name, error.detail)
                continue
            models += [model for model in offered if model not in models]
        aliases: dict[Model, list[str]] = {}
        for alias in self._aliases():
            try:
                aliases.setdefault(await self._find(alias, self._aliases()[alias]), []).append(alias)
            except (ModelNotFoundError, ProviderError):
                # Said when somebody asks for it; a list of what there is leaves it out.
                continue
        return [
            ListedModel(
                model,
                tuple(sorted(aliases.get(model, ()))),
                self.price_of(model.provider, model.name),
                self._providers[model.provider].health.state,
                self._fallbacks_of_listed(model, aliases.get(model, ())),
            )
            for model in models
        ]

    def _fallbacks_of_listed(self, model: Model, aliases: Sequence[str]) -> tuple[str, ...]:
        """The chain of a model that is asked by its own name, without itself. Embeddings have none."""
        if Capability.GENERATE not in model.capabilities:
            return ()
        own = {f"{model.provider}/{model.name}", model.name, *aliases}
        return tuple(name for name in self.fallbacks_of(f"{model.provider}/{model.name}") if name not in own)

    async def _meant(self, name: str, capability: Capability) -> Model:
        if not name and capability is Capability.EMBED:
            if self._naming.default_embedding is None:
                raise ModelNotCapableError((await self._default_name()), capability.value)
            return await self._find(name, self._naming.default_embedding)
        if not name:
            return await self._default()
        return await self._find(name, self._aliases().get(name, ModelReference(name)))

    def _aliases(self) -> Mapping[str, ModelReference]:
        embedding = self._naming.default_embedding
        return {**self._naming.aliases, **({"embed": embedding} if embedding is not None else {})}

    async def _default(self) -> Model:
        if self._naming.default.text:
            return await self._find("", self._naming.default)
        first = next(iter(self._providers.values()))
        for model in await self._offered(first):
            if Capability.GENERATE in model.capabilities:
                return model
        raise ModelNotFoundError("", provider=first.name)

    def _first_known(self) -> ModelReference:
        """The default when nobody named one, as far as it is known without asking its provider."""
        first = next(iter(self._providers.values()))
        writing = (model for model in self._known(first) if Capability.GENERATE in model.capabilities)
        return ModelReference(next((f"{model.provider}/{model.name}" for model in writing), ""))

    async def _default_name(self) -> str:
        try:
            return (await self._default()).name
        except (ModelNotFoundError, ProviderError):
            return self._naming.default.text

    async def _find(self, name: str, reference: ModelReference) -> Model:
        if not reference.text:
            return await self._default()
        provider_name, model_name = reference.parts(self._providers)
        providers = list(self._providers.values()) if provider_name is None else [self._providers[provider_name]]
        for provider in providers:
            for model in await self._offered(provider, wanted=model_name):
                if model.name == model_name:
                    return model
        raise self._not_found(name or reference.text, model_name, providers)

    def _not_found(self, name: str, model_name: str, providers: Sequence[Provider]) -> ModelNotFoundError:
        """The error for a name that means nothing, with the nearest that mean something."""
        with_provider = "/" in name and name != model_name
        known = [
            f"{provider.name}/{model.name}" if with_provider else model.name
            for provider in self._providers.values()
            for model in self._known(provider)
        ]
        advice = ""
        if len(providers) == 1 and providers[0].pulls_models:
            advice = f"If it is a model of Ollama's, fetch it: ollama pull {model_name}"
        return ModelNotFoundError(name, nearest=nearest_models(name, (*self._aliases(), *known)), advice=advice)

    def _known(self, provider: Provider) -> Iterator[Model]:
        """The models of a provider that are known without asking it."""
        yield from provider.models
        if (directory := self._directories.get(provider.name)) is not None:
            yield from directory.last_read

    async def _offered(self, provider: Provider, *, wanted: str = "") -> Sequence[Model]:
        directory = self._directories.get(provider.name)
        return provider.models if directory is None else [*provider.models, *await directory.models(wanted)]


class _Directory:
    """A provider's own list, asked for when somebody needs it and believed for a while. One question at a time."""

    def __init__(self, provider: Provider, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._clock = clock
        self._models: Sequence[Model] = ()
        self._read_at: float | None = None
        self._lock = asyncio.Lock()

    @property
    def last_read(self) -> Sequence[Model]:
        """What the provider listed when it was asked last."""
        return self._models

    async def models(self, wanted: str) -> Sequence[Model]:
        named = {model.name for model in self._provider.models}
        if wanted in named:
            # The operator's own word needs no confirmation.
            return ()
        async with self._lock:
            if self._read_at is None or self._clock() - self._read_at > DIRECTORY_SECONDS:
                assert self._provider.directory is not None  # noqa: S101 - for the type checker: see Models.__init__
                try:
                    names = await self._provider.directory.model_names()
                except ProviderError as error:
                    self._provider.health.failed(error)
                    raise
                self._provider.health.went_well()
                self._models = [known_model(name, self._provider.name) for name in names if name not in named]
                self._read_at = self._clock()
            return self._models
