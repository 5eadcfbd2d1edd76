"""A provider as the operations see it: what it is called, what it can do, and which models it offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from parley_inference.domain.call_queue import CallLimits, CallQueue
from parley_inference.domain.models import Model
from parley_inference.domain.provider_health import ProviderHealth
from parley_inference.domain.provider_traffic import ProviderTraffic
from parley_inference.ports.embedding_model import EmbeddingModel
from parley_inference.ports.language_model import LanguageModel
from parley_inference.ports.model_directory import ModelDirectory


@dataclass(frozen=True, slots=True)
class Provider:
    """Somebody who runs models, configured."""

    name: str
    language_model: LanguageModel
    embedding_model: EmbeddingModel | None = None
    models: Sequence[Model] = ()
    """The models that the operator named, the most important first."""
    directory: ModelDirectory | None = None
    """Asked for the models when the operator named none that generates; None when those of `models` are all."""
    kind: str = "openai"
    """What it speaks: `openai`, `anthropic` or `offline`."""
    pulls_models: bool = False
    """Whether its user fetches each model before it can be used: Ollama."""
    health: ProviderHealth = field(default_factory=ProviderHealth)
    """What its calls tell of it. Written by whoever makes them."""
    queue: CallQueue = field(default_factory=lambda: CallQueue("", CallLimits()))
    """The turns of its calls. Taken by whoever makes them."""
    traffic: ProviderTraffic = field(default_factory=ProviderTraffic)
    """Its calls of the last minute. Written by whoever makes them."""
