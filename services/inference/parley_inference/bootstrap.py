"""Says what is plugged into what. Production and tests enter the service here; nothing else joins the rooms.

Not the process: signals, exit codes and logs are `__main__`'s.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from parley.inference.v1 import (
    agent_service_pb2_grpc,
    content_service_pb2_grpc,
    embedding_service_pb2_grpc,
    inference_service_pb2_grpc,
    model_service_pb2_grpc,
)
from parley_shared.serving import Registration, Server, build_server
from parley_shared.settings import SettingsError
from parley_shared.tokens import TokenVerifier

from parley_inference.adapters.continued_language_model import ContinuedLanguageModel
from parley_inference.adapters.guarded_language_model import GuardedLanguageModel
from parley_inference.adapters.limited_embedding_model import LimitedEmbeddingModel
from parley_inference.adapters.limited_language_model import LimitedLanguageModel
from parley_inference.adapters.offline_model import OFFLINE, OfflineModel
from parley_inference.adapters.patience import Patience
from parley_inference.adapters.schema_process import SchemaProcess
from parley_inference.adapters.toml_agents import read_agents
from parley_inference.adapters.toml_content_templates import read_content_templates
from parley_inference.adapters.toml_folder import FolderError
from parley_inference.adapters.toml_prices import PricesError, read_prices
from parley_inference.adapters.traced_embedding_model import TracedEmbeddingModel
from parley_inference.adapters.traced_language_model import TracedLanguageModel
from parley_inference.domain.call_queue import CallLimits, CallQueue
from parley_inference.domain.model_families import known_model
from parley_inference.domain.models import CHAT, EMBEDDING, Capability, Model, ModelReference, Naming
from parley_inference.domain.prices import PriceList
from parley_inference.domain.provider_health import ProviderHealth
from parley_inference.operations.agents import Agents
from parley_inference.operations.answer_cache import AnswerCache
from parley_inference.operations.content import Content
from parley_inference.operations.embedding_cache import EmbeddingCache
from parley_inference.operations.embeddings import EmbeddingLimits, TextEmbedding
from parley_inference.operations.generations import Generations
from parley_inference.operations.models import Models
from parley_inference.operations.providers import Provider
from parley_inference.ports.language_model import LanguageModel
from parley_inference.servicers.agents import AgentServicer
from parley_inference.servicers.content import ContentServicer
from parley_inference.servicers.embeddings import EmbeddingServicer
from parley_inference.servicers.inference import InferenceServicer
from parley_inference.servicers.models import ModelServicer
from parley_inference.servicers.status import reason_of, to_status_error
from parley_inference.settings import InferenceSettings

_PACKAGE = Path(__file__).parent
OPENAI = "openai"
ANTHROPIC = "anthropic"
OLLAMA = "ollama"
ALIASES = ("fast", "strong")
OPENAI_BASE_URL = "https://api.openai.com/v1"
ANTHROPIC_BASE_URL = "https://api.anthropic.com"
OPENAI_DEFAULT_MODEL = "gpt-5-mini"
"""What a key alone gives: OpenAI lists a hundred models, so nobody can be asked for "the first"."""


@dataclass(frozen=True)
class InferenceApp:
    """An inference service that is put together. Its server is built and not started."""

    settings: InferenceSettings
    server: Server
    models: Models


@asynccontextmanager
async def open_inference(settings: InferenceSettings) -> AsyncIterator[InferenceApp]:
    """Puts the service together; closes its connections to providers at the end.

    Raises SettingsError when a provider is configured whose package is not installed, or a model that no provider can have, or a file of
    prices that cannot be used.
    """
    prices = _prices(settings)
    agents = _agents(settings)
    content = _content(settings)
    async with AsyncExitStack() as closing:
        models = Models(_providers(settings, closing), _naming(settings), clock=time.monotonic, prices=prices)
        checker = SchemaProcess()
        closing.push_async_callback(checker.close)
        generations = Generations(
            models,
            checker,
            AnswerCache(settings.cache_bytes, clock=time.monotonic),
            max_characters=settings.max_answer_characters,
        )
        registrations = [
            Registration(
                inference_service_pb2_grpc.add_InferenceServiceServicer_to_server,
                InferenceServicer(generations, agents, checker),
                "parley.inference.v1.InferenceService",
            ),
            Registration(
                agent_service_pb2_grpc.add_AgentServiceServicer_to_server,
                AgentServicer(agents),
                "parley.inference.v1.AgentService",
            ),
            Registration(
                content_service_pb2_grpc.add_ContentServiceServicer_to_server,
                ContentServicer(content),
                "parley.inference.v1.ContentService",
            ),
            Registration(
                model_service_pb2_grpc.add_ModelServiceServicer_to_server,
                ModelServicer(models),
                "parley.inference.v1.ModelService",
            ),
            Registration(
                embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server,
                EmbeddingServicer(_embedding(settings, models)),
                "parley.inference.v1.EmbeddingService",
            ),
        ]
        service = settings.service
        verifier = TokenVerifier(service.jwks_file, service.token_issuer, service.token_audience)
        server = build_server(
            service, registrations, verifier=verifier, to_status_error=to_status_error, shown=(settings,)
        )
        yield InferenceApp(settings, server, models)


def _embedding(settings: InferenceSettings, models: Models) -> TextEmbedding:
    limits = EmbeddingLimits(
        batch_texts=settings.embedding_batch_texts,
        batch_tokens=settings.embedding_batch_tokens,
        calls=settings.embedding_calls,
        answer_bytes=settings.service.max_message_bytes,
    )
    return TextEmbedding(models, EmbeddingCache(settings.embedding_cache_megabytes * 1024 * 1024), limits)


def _agents(settings: InferenceSettings) -> Agents:
    """The agents that ship, and over them the operator's."""
    agents = {agent.agent_id: agent for agent in read_agents(_PACKAGE / "agents")}
    folder = settings.agents_folder or _folder_in_home(settings, "agents")
    if folder is not None:
        try:
            agents |= {agent.agent_id: agent for agent in read_agents(folder)}
        except FolderError as error:
            variable = "PARLEY_INFERENCE_AGENTS_FOLDER"
            raise SettingsError(variable, f"{variable}: {error}.") from error
    return Agents(agents.values())


def _content(settings: InferenceSettings) -> Content:
    """The templates that ship, and over them the operator's."""
    templates = {template.template_id: template for template in read_content_templates(_PACKAGE / "content_templates")}
    folder = settings.content_templates_folder or _folder_in_home(settings, "content-templates")
    if folder is not None:
        try:
            templates |= {template.template_id: template for template in read_content_templates(folder)}
        except FolderError as error:
            variable = "PARLEY_INFERENCE_CONTENT_TEMPLATES_FOLDER"
            raise SettingsError(variable, f"{variable}: {error}.") from error
    return Content(templates.values())


def _folder_in_home(settings: InferenceSettings, name: str) -> Path | None:
    folder = settings.service.home / name
    return folder if folder.is_dir() else None


def _prices(settings: InferenceSettings) -> PriceList:
    """The prices that are certain, and over them the operator's."""
    prices = dict(read_prices(Path(__file__).with_name("prices.toml")))
    if settings.prices_file is not None:
        try:
            prices |= read_prices(settings.prices_file)
        except PricesError as error:
            variable = "PARLEY_INFERENCE_PRICES_FILE"
            raise SettingsError(variable, f"{variable}: {settings.prices_file} {error}.") from error
    return PriceList(prices)


def _providers(settings: InferenceSettings, closing: AsyncExitStack) -> list[Provider]:
    """The configured providers, the default first; the built-in model when there are none."""
    endpoints: dict[str, tuple[str, str]] = {}
    if settings.openai_api_key or settings.openai_base_url:
        key = settings.openai_api_key.reveal() if settings.openai_api_key else ""
        endpoints[OPENAI] = (settings.openai_base_url or OPENAI_BASE_URL, key)
    if settings.anthropic_api_key or settings.anthropic_base_url:
        key = settings.anthropic_api_key.reveal() if settings.anthropic_api_key else ""
        endpoints[ANTHROPIC] = (settings.anthropic_base_url or ANTHROPIC_BASE_URL, key)
    if settings.ollama_base_url:
        endpoints[OLLAMA] = (settings.ollama_base_url, "")
    if not endpoints:
        return [_offline(settings)]
    named = _named_models(settings, endpoints)
    return [
        (_anthropic if name == ANTHROPIC else _openai_compatible)(settings, closing, name, base_url, key, named[name])
        for name, (base_url, key) in endpoints.items()
    ]


def _offline(settings: InferenceSettings) -> Provider:
    model = OfflineModel(settings.offline_tokens_per_second)
    known = Model(OFFLINE, OFFLINE, CHAT, offline=True)
    return Provider(OFFLINE, TracedLanguageModel(model, OFFLINE), models=(known,), kind=OFFLINE)


def _openai_compatible(
    settings: InferenceSettings, closing: AsyncExitStack, name: str, base_url: str, key: str, models: list[Model]
) -> Provider:
    # Imported here: the package costs 50 MB and most of a second, which a laptop without a provider need not pay.
    try:
        from parley_inference.adapters.completion_request import Prefill, prefill_of  # noqa: PLC0415 - see above
        from parley_inference.adapters.openai_compatible_embedding_model import (  # noqa: PLC0415 - see above
            OpenAICompatibleEmbeddingModel,
        )
        from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel  # noqa: PLC0415 - see above
        from parley_inference.adapters.openai_connection import OpenAIConnection  # noqa: PLC0415 - see above
        from parley_inference.adapters.provider_connection import Endpoint  # noqa: PLC0415 - see above
    except ImportError as error:
        raise _missing(name, "openai", error) from error
    connection = OpenAIConnection(Endpoint(name, base_url, key, settings.connect_timeout_seconds))
    closing.push_async_callback(connection.close)
    said = Prefill.LAST.value if name == OLLAMA else settings.prefill
    prefill = Prefill(said) if said else prefill_of(base_url)
    language_model = OpenAICompatibleModel(connection, _patience(settings), prefill)
    continued = ContinuedLanguageModel(language_model, has_prefill=prefill is not Prefill.NONE)
    embedding_model = OpenAICompatibleEmbeddingModel(connection, settings.first_token_timeout_seconds)
    health, queue = _watched(settings, name)
    return Provider(
        name,
        _guarded(continued, name, health, queue),
        LimitedEmbeddingModel(TracedEmbeddingModel(embedding_model, name), queue, health),
        models=models,
        # A server whose models nobody has named (a laptop's Ollama, a vLLM with one model) offers what it has.
        directory=None if any(Capability.GENERATE in model.capabilities for model in models) else language_model,
        kind=OPENAI,
        pulls_models=name == OLLAMA,
        health=health,
        queue=queue,
    )


def _anthropic(
    settings: InferenceSettings, closing: AsyncExitStack, name: str, base_url: str, key: str, models: list[Model]
) -> Provider:
    # Imported here, as OpenAI's.
    try:
        from parley_inference.adapters.anthropic_connection import AnthropicConnection  # noqa: PLC0415 - see above
        from parley_inference.adapters.anthropic_model import AnthropicModel  # noqa: PLC0415 - see above
        from parley_inference.adapters.provider_connection import Endpoint  # noqa: PLC0415 - see above
    except ImportError as error:
        raise _missing(name, "anthropic", error) from error
    connection = AnthropicConnection(Endpoint(name, base_url, key, settings.connect_timeout_seconds))
    closing.push_async_callback(connection.close)
    language_model = AnthropicModel(connection, _patience(settings), default_max_tokens=settings.anthropic_max_tokens)
    health, queue = _watched(settings, name)
    return Provider(
        name,
        _guarded(ContinuedLanguageModel(language_model, has_prefill=True), name, health, queue),
        models=models,
        directory=None if any(Capability.GENERATE in model.capabilities for model in models) else language_model,
        kind=ANTHROPIC,
        health=health,
        queue=queue,
    )


def _watched(settings: InferenceSettings, provider: str) -> tuple[ProviderHealth, CallQueue]:
    limits = CallLimits(settings.max_running_calls, settings.max_waiting_calls, settings.max_queue_seconds)
    return ProviderHealth(name_of=reason_of), CallQueue(provider, limits)


def _guarded(model: LanguageModel, provider: str, health: ProviderHealth, queue: CallQueue) -> LanguageModel:
    # The guard is outside of the spans, so that every attempt has one of its own; and a call has one turn, whatever it is tried.
    guarded = GuardedLanguageModel(TracedLanguageModel(model, provider), provider, clock=time.monotonic, health=health)
    return LimitedLanguageModel(guarded, queue)


def _patience(settings: InferenceSettings) -> Patience:
    return Patience(
        first_token=settings.first_token_timeout_seconds,
        idle=settings.idle_timeout_seconds,
        total=settings.total_timeout_seconds,
    )


def _missing(provider: str, extra: str, error: ImportError) -> SettingsError:
    return SettingsError(
        "",
        f"The provider {provider} needs the extra `{extra}`: install parley-inference[{extra}] ({error.name} is missing).",
    )


def _naming(settings: InferenceSettings) -> Naming:
    return Naming(
        default=ModelReference(settings.model),
        aliases={"fast": ModelReference(settings.fast_model), "strong": ModelReference(settings.strong_model)},
        default_embedding=ModelReference(settings.embedding_model) if settings.embedding_model else None,
        fallbacks=settings.fallback_models,
    )


def _named_models(settings: InferenceSettings, endpoints: dict[str, tuple[str, str]]) -> dict[str, list[Model]]:
    """The models that the settings name, by provider. A name without a provider belongs to the first."""
    named: dict[str, list[Model]] = {provider: [] for provider in endpoints}
    first = next(iter(endpoints))
    references = [settings.model, settings.fast_model, settings.strong_model, *settings.more_models]
    for text, capabilities in [(text, CHAT) for text in references] + [(settings.embedding_model, EMBEDDING)]:
        if not text:
            continue
        provider, name = ModelReference(text).parts(endpoints)
        provider = provider or (_first_that_embeds(endpoints) if capabilities == EMBEDDING else first)
        if capabilities == EMBEDDING and provider == ANTHROPIC:
            variable = "PARLEY_INFERENCE_EMBEDDING_MODEL"
            raise SettingsError(variable, f"{variable} names a model of Anthropic's, which has none that embeds.")
        model = _model(name, provider, capabilities)
        if model not in named[model.provider]:
            named[model.provider].append(model)
    if (
        OPENAI in endpoints
        and endpoints[OPENAI][0] == OPENAI_BASE_URL
        and not any(Capability.GENERATE in model.capabilities for model in named[OPENAI])
    ):
        named[OPENAI].insert(0, known_model(OPENAI_DEFAULT_MODEL, OPENAI))
    for text in settings.fallback_models:
        provider, name = ModelReference(text).parts(endpoints)
        model = _model(name, provider or first, CHAT)
        others = named[model.provider]
        # Last, because the first of a provider is its default; and a server whose own list counts has it there.
        if (
            text not in ALIASES
            and model not in others
            and any(Capability.GENERATE in other.capabilities for other in others)
        ):
            others.append(model)
    return named


def _model(name: str, provider: str, capabilities: frozenset[Capability]) -> Model:
    """A model that the operator names for writing or for embedding: that counts more than what its name tells."""
    known = known_model(name, provider)
    return known if capabilities <= known.capabilities else Model(name, provider, capabilities)


def _first_that_embeds(endpoints: dict[str, tuple[str, str]]) -> str:
    """The provider of an embedding model that is named without one; Anthropic when it is alone."""
    return next((provider for provider in endpoints if provider != ANTHROPIC), ANTHROPIC)
