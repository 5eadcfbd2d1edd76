"""Puts together what is written without a session: texts, agents, content, the OpenAI door. A part of bootstrap.py."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from grpc.aio import Channel
from parley.ai.v1 import agent_service_pb2_grpc, content_service_pb2_grpc, generation_service_pb2_grpc
from parley.openai.v1 import openai_service_pb2_grpc
from parley_shared.serving import Registration

from parley_chat.adapters.grpc_agent_catalog import GrpcAgentCatalog
from parley_chat.adapters.grpc_content_templates import GrpcContentTemplates
from parley_chat.adapters.grpc_embedder import GrpcEmbedder
from parley_chat.adapters.grpc_knowledge import GrpcKnowledge
from parley_chat.adapters.grpc_model_catalog import GrpcModelCatalog
from parley_chat.adapters.grpc_text_model import GrpcTextModel
from parley_chat.adapters.otel_metrics import OtelMetrics
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.budget_assembly import BudgetParts
from parley_chat.operations.admission import Admission
from parley_chat.operations.agents import Agents, AgentSearch
from parley_chat.operations.content import Content
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.text_generations import TextGenerations
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.operations.usage_recording import UsageRecording
from parley_chat.servicers.agents import AgentServicer
from parley_chat.servicers.content import ContentServicer
from parley_chat.servicers.generation import GenerationServicer
from parley_chat.servicers.openai import OpenAIServicer
from parley_chat.settings import ChatSettings


def open_text_generations(
    settings: ChatSettings,
    catalog: GrpcModelCatalog,
    budgets: BudgetParts,
    inference: Channel,
    service_tokens: ServiceTokens,
    admission: Admission,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> TextGenerations:
    """Has texts without a session written, until `closing` closes."""
    tracing = OtelTracing()
    recording = UsageRecording(budgets.ledger, tracing, on_record=OtelMetrics().text_ended)
    closing.push_async_callback(recording.close)
    return TextGenerations(
        GrpcTextModel(inference, service_tokens.for_user),
        catalog,
        admission,
        tracing,
        recording,
        budgets.spending,
        longest_seconds=settings.max_turn_seconds,
        now=now,
    )


def text_registrations(
    settings: ChatSettings,
    inference: Channel,
    knowledge: GrpcKnowledge,
    service_tokens: ServiceTokens,
    generations: TextGenerations,
    admission: Admission,
    tools: ToolCalls,
    now: Callable[[], datetime],
) -> list[Registration]:
    """What is served without a session."""
    tracing = OtelTracing()
    token_for = service_tokens.for_user
    agents = Agents(
        GrpcAgentCatalog(inference, token_for),
        knowledge,
        generations,
        admission,
        tools,
        tracing,
        AgentSearch(passages=settings.passages, seconds=settings.search_seconds),
        now,
    )
    content = Content(GrpcContentTemplates(inference, token_for), generations, admission, tracing)
    return [
        Registration(
            generation_service_pb2_grpc.add_GenerationServiceServicer_to_server,
            GenerationServicer(generations),
            "parley.ai.v1.GenerationService",
        ),
        Registration(
            agent_service_pb2_grpc.add_AgentServiceServicer_to_server,
            AgentServicer(agents),
            "parley.ai.v1.AgentService",
        ),
        Registration(
            content_service_pb2_grpc.add_ContentServiceServicer_to_server,
            ContentServicer(content),
            "parley.ai.v1.ContentService",
        ),
        Registration(
            openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server,
            OpenAIServicer(generations, GrpcEmbedder(inference, token_for)),
            "parley.openai.v1.OpenAIService",
        ),
    ]
