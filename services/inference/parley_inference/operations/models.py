"""Which models there are, and which one a request means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from parley_inference.domain.errors import ModelNotCapableError, ModelNotFoundError, ProviderError
from parley_inference.domain.models import (
    Capability,
    Model,
    ModelReference,
    Naming,
    capabilities_of,
    context_window_of,
)
from parley_inference.domain.prices import PriceList, TokenPrice
from parley_inference.operations.providers import Provider

_logger = logging.getLogger(__name__)

DIRECTORY_SECONDS = 60.0
"""How long a provider's list of models is believed. Ollama's changes whenever its user pulls one."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model with its other names, in alphabetical order, and its price; None when that is not known."""

    model: Model
    aliases: tuple[str, ...]
    price: TokenPrice | None


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
            ListedModel(model, tuple(sorted(aliases.get(model, ()))), self.price_of(model.provider, model.name))
            for model in models
        ]

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
        raise ModelNotFoundError(name or reference.text)

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

    async def models(self, wanted: str) -> Sequence[Model]:
        named = {model.name for model in self._provider.models}
        if wanted in named:
            # The operator's own word needs no confirmation.
            return ()
        async with self._lock:
            if self._read_at is None or self._clock() - self._read_at > DIRECTORY_SECONDS:
                assert self._provider.directory is not None  # noqa: S101 - for the type checker: see Models.__init__
                names = await self._provider.directory.model_names()
                self._models = [
                    Model(name, self._provider.name, capabilities_of(name), context_window_of(name))
                    for name in names
                    if name not in named
                ]
                self._read_at = self._clock()
            return self._models
