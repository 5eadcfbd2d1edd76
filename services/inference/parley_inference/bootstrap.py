"""Says what is plugged into what. Production and tests enter the service here; nothing else joins the rooms, but the two files that make
the providers for it: provider_plan.py and provider_assembly.py.

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
    scoring_service_pb2_grpc,
    span_service_pb2_grpc,
)
from parley_shared.channels import open_channel
from parley_shared.serving import Registration, Server, build_server
from parley_shared.settings import SettingsError
from parley_shared.token_exchange import GrpcTokenExchange
from parley_shared.token_revocation import GrpcTokenRevocation
from parley_shared.tokens import TokenVerifier, TrustedService

from parley_inference.adapters.folder_scoring_models import FolderScoringModels
from parley_inference.adapters.process_scoring import ProcessLeadScorer, ProcessLeadTrainer
from parley_inference.adapters.schema_process import SchemaProcess
from parley_inference.adapters.toml_agents import read_agents
from parley_inference.adapters.toml_content_templates import read_content_templates
from parley_inference.adapters.toml_folder import FolderError
from parley_inference.metrics_assembly import watch_caches, watch_providers
from parley_inference.operations.agents import Agents
from parley_inference.operations.answer_cache import AnswerCache
from parley_inference.operations.content import Content
from parley_inference.operations.embedding_cache import EmbeddingCache
from parley_inference.operations.embeddings import EmbeddingLimits, TextEmbedding
from parley_inference.operations.generations import Generations
from parley_inference.operations.models import Models
from parley_inference.operations.scoring import Scoring
from parley_inference.ports.scoring import ScoringModels
from parley_inference.provider_assembly import assemble
from parley_inference.provider_plan import plan_of
from parley_inference.servicers.agents import AgentServicer
from parley_inference.servicers.content import ContentServicer
from parley_inference.servicers.embeddings import EmbeddingServicer
from parley_inference.servicers.inference import InferenceServicer
from parley_inference.servicers.models import ModelServicer
from parley_inference.servicers.scoring import ScoringServicer
from parley_inference.servicers.spans import SpanServicer
from parley_inference.servicers.status import to_status_error
from parley_inference.settings import InferenceSettings

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class InferenceApp:
    """An inference service that is put together. Its server is built and not started."""

    settings: InferenceSettings
    server: Server
    models: Models


@asynccontextmanager
async def open_inference(settings: InferenceSettings) -> AsyncIterator[InferenceApp]:
    """Puts the service together; closes its connections to providers at the end.

    Raises SettingsError when a provider is configured whose package is not installed, or a model that no provider can have, or a file
    that cannot be used.
    """
    plan = plan_of(settings)
    # From here on with what the configuration file says where the environment says nothing.
    settings = plan.settings
    agents = _agents(settings)
    content = _content(settings)
    async with AsyncExitStack() as closing:
        providers = assemble(plan, closing)
        answers = AnswerCache(settings.cache_bytes, clock=time.monotonic)
        vectors = EmbeddingCache(settings.embedding_cache_megabytes * 1024 * 1024)
        watch_providers(providers, closing)
        watch_caches({"answers": answers, "embeddings": vectors}, closing)
        models = Models(providers, plan.naming, clock=time.monotonic, prices=plan.prices)
        checker = SchemaProcess()
        closing.push_async_callback(checker.close)
        generations = Generations(
            models,
            checker,
            answers,
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
                EmbeddingServicer(_embedding(settings, models, vectors)),
                "parley.inference.v1.EmbeddingService",
            ),
            Registration(
                span_service_pb2_grpc.add_SpanServiceServicer_to_server,
                SpanServicer(),
                "parley.inference.v1.SpanService",
            ),
            Registration(
                scoring_service_pb2_grpc.add_ScoringServiceServicer_to_server,
                ScoringServicer(_scoring(settings, closing), answer_bytes=settings.service.max_message_bytes),
                "parley.inference.v1.ScoringService",
            ),
        ]
        service = settings.service
        retrieval = TrustedService("retrieval", settings.retrieval_jwks_file, frozenset({"inference:invoke"}))
        chat = open_channel(settings.chat_address, tls=settings.service.tls)
        closing.push_async_callback(chat.close)
        verifier = TokenVerifier(
            service.jwks_file,
            service.token_issuer,
            service.token_audience,
            # Users call ScoringService themselves, also with tokens that can be revoked.
            is_revoked=GrpcTokenRevocation(chat).is_revoked,
            exchange=GrpcTokenExchange(chat).own_token,
            trusted_services=(retrieval,),
        )
        server = build_server(
            service, registrations, verifier=verifier, to_status_error=to_status_error, shown=(settings,)
        )
        yield InferenceApp(settings, server, models)


def _embedding(settings: InferenceSettings, models: Models, vectors: EmbeddingCache) -> TextEmbedding:
    limits = EmbeddingLimits(
        batch_texts=settings.embedding_batch_texts,
        batch_tokens=settings.embedding_batch_tokens,
        calls=settings.embedding_calls,
        answer_bytes=settings.service.max_message_bytes,
    )
    return TextEmbedding(models, vectors, limits)


def _scoring(settings: InferenceSettings, closing: AsyncExitStack) -> Scoring:
    megabytes = settings.scoring_memory_megabytes
    trainer = ProcessLeadTrainer(seconds=settings.scoring_training_seconds, megabytes=megabytes)
    closing.push_async_callback(trainer.close)
    scorer = ProcessLeadScorer(megabytes=megabytes)
    closing.push_async_callback(scorer.close)
    return Scoring(_scoring_models(settings), trainer, scorer)


def _scoring_models(settings: InferenceSettings) -> ScoringModels:
    s3 = settings.scoring_s3
    if s3 is None:
        return FolderScoringModels(settings.scoring_folder)
    try:
        # Only who keeps models in a bucket pays for the package.
        from parley_inference.adapters.s3_scoring_models import S3ScoringModels, open_bucket  # noqa: PLC0415
    except ImportError as error:
        variable = "PARLEY_INFERENCE_SCORING_S3"
        raise SettingsError(variable, f"{variable} needs the package parley-inference[s3].") from error
    bucket = open_bucket(
        bucket=s3.bucket,
        prefix=s3.prefix,
        endpoint_url=s3.endpoint_url,
        region=s3.region,
        access_key_id=s3.access_key_id,
        secret_access_key=s3.secret_access_key.reveal() if s3.secret_access_key else "",
        session_token=s3.session_token.reveal() if s3.session_token else "",
    )
    return S3ScoringModels(bucket)


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
