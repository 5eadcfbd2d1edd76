"""Makes the providers of a plan: connection, adapter, and the wrappers around it, from the inside out. What is planned is
provider_plan.py's.

The packages of providers are imported here, each when it is needed: one costs 50 MB and most of a second, which a laptop without a
provider need not pay.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from parley_shared.settings import SettingsError

from parley_inference.adapters.continued_language_model import ContinuedLanguageModel
from parley_inference.adapters.guarded_language_model import GuardedLanguageModel
from parley_inference.adapters.limited_embedding_model import LimitedEmbeddingModel
from parley_inference.adapters.limited_language_model import LimitedLanguageModel
from parley_inference.adapters.offline_model import OFFLINE, OfflineModel
from parley_inference.adapters.traced_embedding_model import TracedEmbeddingModel
from parley_inference.adapters.traced_language_model import TracedLanguageModel
from parley_inference.domain.call_queue import CallQueue
from parley_inference.domain.models import CHAT, Capability, Model
from parley_inference.domain.provider_health import ProviderHealth
from parley_inference.domain.provider_traffic import ProviderTraffic
from parley_inference.operations.providers import Provider
from parley_inference.ports.language_model import LanguageModel
from parley_inference.provider_plan import ANTHROPIC, OLLAMA, OPENAI, Plan, ProviderPlan
from parley_inference.servicers.status import reason_of

_START_OLLAMA = "Is Ollama running? Start it with: ollama serve"


def assemble(plan: Plan, closing: AsyncExitStack) -> Sequence[Provider]:
    """The providers, the default first; the built-in model when there are none. Their connections are closed with `closing`.

    Raises SettingsError when the package of one is not installed.
    """
    if not plan.providers:
        return [_offline(plan.settings.offline_tokens_per_second)]
    return [
        (_anthropic if provider.kind == ANTHROPIC else _openai_compatible)(provider, closing)
        for provider in plan.providers
    ]


def _offline(tokens_per_second: float) -> Provider:
    traffic = ProviderTraffic()
    model = TracedLanguageModel(OfflineModel(tokens_per_second), OFFLINE, traffic)
    known = Model(OFFLINE, OFFLINE, CHAT, offline=True)
    health = ProviderHealth()
    # It is a part of this process: it does well for as long as anybody can ask how it does.
    health.went_well()
    return Provider(OFFLINE, model, models=(known,), kind=OFFLINE, health=health, traffic=traffic)


def _openai_compatible(plan: ProviderPlan, closing: AsyncExitStack) -> Provider:
    try:
        from parley_inference.adapters.completion_request import Prefill, prefill_of  # noqa: PLC0415 - see above
        from parley_inference.adapters.ollama_directory import OllamaDirectory  # noqa: PLC0415 - see above
        from parley_inference.adapters.openai_compatible_embedding_model import (  # noqa: PLC0415 - see above
            OpenAICompatibleEmbeddingModel,
        )
        from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel  # noqa: PLC0415 - see above
        from parley_inference.adapters.openai_connection import OpenAIConnection  # noqa: PLC0415 - see above
        from parley_inference.adapters.provider_connection import Endpoint  # noqa: PLC0415 - see above
    except ImportError as error:
        raise _missing(plan.name, "openai", error) from error
    is_ollama = plan.kind == OLLAMA
    connection = OpenAIConnection(
        Endpoint(
            plan.name,
            plan.base_url,
            plan.key.reveal() if plan.key else "",
            plan.connect_seconds,
            advice_when_gone=_START_OLLAMA if is_ollama else "",
            pulls_models=is_ollama,
        )
    )
    closing.push_async_callback(connection.close)
    said = Prefill.LAST.value if is_ollama else plan.prefill
    prefill = Prefill(said) if said else prefill_of(plan.base_url)
    language_model = OpenAICompatibleModel(connection, plan.patience, prefill)
    continued = ContinuedLanguageModel(language_model, has_prefill=prefill is not Prefill.NONE)
    embedding_model = OpenAICompatibleEmbeddingModel(connection, plan.patience.first_token)
    health, queue = ProviderHealth(name_of=reason_of), CallQueue(plan.name, plan.limits)
    traffic = ProviderTraffic()
    directory = OllamaDirectory(connection, language_model) if is_ollama else language_model
    return Provider(
        plan.name,
        _guarded(continued, plan.name, health, queue, traffic),
        LimitedEmbeddingModel(TracedEmbeddingModel(embedding_model, plan.name, traffic), queue, health),
        models=plan.models,
        # A server whose models nobody has named (a laptop's Ollama, a vLLM with one model) offers what it has.
        directory=None if _writes(plan.models) else directory,
        kind=OPENAI,
        pulls_models=is_ollama,
        health=health,
        queue=queue,
        traffic=traffic,
    )


def _anthropic(plan: ProviderPlan, closing: AsyncExitStack) -> Provider:
    try:
        from parley_inference.adapters.anthropic_connection import AnthropicConnection  # noqa: PLC0415 - see above
        from parley_inference.adapters.anthropic_model import AnthropicModel  # noqa: PLC0415 - see above
        from parley_inference.adapters.provider_connection import Endpoint  # noqa: PLC0415 - see above
    except ImportError as error:
        raise _missing(plan.name, "anthropic", error) from error
    connection = AnthropicConnection(
        Endpoint(plan.name, plan.base_url, plan.key.reveal() if plan.key else "", plan.connect_seconds)
    )
    closing.push_async_callback(connection.close)
    language_model = AnthropicModel(
        connection, plan.patience, default_max_tokens=plan.max_output_tokens, thinking_tokens=plan.thinking_tokens
    )
    health, queue = ProviderHealth(name_of=reason_of), CallQueue(plan.name, plan.limits)
    traffic = ProviderTraffic()
    return Provider(
        plan.name,
        _guarded(ContinuedLanguageModel(language_model, has_prefill=True), plan.name, health, queue, traffic),
        models=plan.models,
        directory=None if _writes(plan.models) else language_model,
        kind=ANTHROPIC,
        health=health,
        queue=queue,
        traffic=traffic,
    )


def _writes(models: Sequence[Model]) -> bool:
    return any(Capability.GENERATE in model.capabilities for model in models)


def _guarded(
    model: LanguageModel, provider: str, health: ProviderHealth, queue: CallQueue, traffic: ProviderTraffic
) -> LanguageModel:
    # The guard is outside of the spans, so that every attempt has one of its own; and a call has one turn, however often it is tried.
    traced = TracedLanguageModel(model, provider, traffic)
    guarded = GuardedLanguageModel(traced, provider, clock=time.monotonic, health=health)
    return LimitedLanguageModel(guarded, queue)


def _missing(provider: str, extra: str, error: ImportError) -> SettingsError:
    return SettingsError(
        "",
        f"The provider {provider} needs the extra `{extra}`: install parley-inference[{extra}] ({error.name} is missing).",
    )
