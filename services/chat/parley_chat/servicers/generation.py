"""GenerationService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import grpc
from parley.ai.v1 import generation_service_pb2 as pb
from parley.ai.v1 import generation_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.domain.conversation import Role
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import Sampling
from parley_chat.domain.models import AIState, AvailableModel, ModelCapability
from parley_chat.domain.prompt import PromptLine
from parley_chat.operations.text_generations import TextEvent, TextFinished, TextGenerations
from parley_chat.ports.text_model import ReasoningPiece, TextPiece, TextRequest, TextStarted, TextSwitched
from parley_chat.servicers import generation_validation as validation
from parley_chat.servicers.generation_messages import (
    ENDS,
    in_terms_of,
    pack_failed,
    pack_finished,
    pack_started,
    pack_switched,
    pack_usage,
    told_in_terms_of,
)
from parley_chat.servicers.provider_messages import pack_provider

_PROMPT = "prompt"
_CAPABILITIES = {
    ModelCapability.GENERATE: pb.MODEL_CAPABILITY_GENERATE,
    ModelCapability.TOOLS: pb.MODEL_CAPABILITY_TOOLS,
    ModelCapability.EMBED: pb.MODEL_CAPABILITY_EMBED,
    ModelCapability.IMAGES: pb.MODEL_CAPABILITY_IMAGES,
    ModelCapability.STRUCTURED_OUTPUT: pb.MODEL_CAPABILITY_STRUCTURED_OUTPUT,
}
_STATES = {
    AIState.HEALTHY: pb.AI_STATE_HEALTHY,
    AIState.DEGRADED: pb.AI_STATE_DEGRADED,
    AIState.UNAVAILABLE: pb.AI_STATE_UNAVAILABLE,
}

Context = grpc.aio.ServicerContext[object, object]


class GenerationServicer(generation_service_pb2_grpc.GenerationServiceServicer):
    """Serves texts without a session, and what is known of models."""

    def __init__(self, generations: TextGenerations) -> None:
        self._generations = generations

    async def GenerateText(self, request: pb.GenerateTextRequest, context: Context) -> pb.GenerateTextResponse:
        """Generates whole."""
        schema = validation.check_generate(request)
        with in_terms_of(_PROMPT):
            text = await self._generations.generate(_text_request(request, schema))
        return pb.GenerateTextResponse(
            text=text.text,
            model=text.model,
            finish_reason=ENDS[text.end],
            usage=pack_usage(text.usage),
            cached=text.cached,
            offline=text.offline,
            trace_id=text.trace_id,
        )

    async def StreamGenerateText(
        self, request: pb.StreamGenerateTextRequest, context: Context
    ) -> AsyncIterator[pb.StreamGenerateTextResponse]:
        """Generates event by event."""
        schema = validation.check_generate(request)
        try:
            async with aclosing(self._generations.stream(_text_request(request, schema))) as events:
                async for event in events:
                    yield _pack_event(event)
        except GenerationError as error:
            told = told_in_terms_of(_PROMPT, error)
            yield pb.StreamGenerateTextResponse(failed=pack_failed(told.failure))
            raise told from error

    async def ListAvailableModels(
        self, request: pb.ListAvailableModelsRequest, context: Context
    ) -> pb.ListAvailableModelsResponse:
        """Lists the models."""
        models = await self._generations.models(current_principal().user_id)
        return pb.ListAvailableModelsResponse(models=[_pack_model(model) for model in models])

    async def GetAIHealth(self, request: pb.GetAIHealthRequest, context: Context) -> pb.GetAIHealthResponse:
        """Tells how the AI side does."""
        health = await self._generations.health(current_principal().user_id)
        return pb.GetAIHealthResponse(
            state=_STATES[health.state],
            default_model=health.default_model,
            offline=health.offline,
            providers=[pack_provider(provider) for provider in health.providers],
        )


def _text_request(
    request: pb.GenerateTextRequest | pb.StreamGenerateTextRequest, schema: Mapping[str, Any] | None
) -> TextRequest:
    return TextRequest(
        user_id=current_principal().user_id,
        lines=(PromptLine(Role.USER, request.prompt),),
        instructions=request.system,
        model=request.model,
        sampling=Sampling(
            temperature=request.temperature if request.HasField("temperature") else None,
            max_output_tokens=request.max_output_tokens if request.HasField("max_output_tokens") else None,
        ),
        response_schema=schema,
        cache_seconds=request.cache_seconds,
    )


def _pack_event(event: TextEvent) -> pb.StreamGenerateTextResponse:
    match event:
        case TextPiece(text):
            return pb.StreamGenerateTextResponse(text_delta=text)
        case ReasoningPiece(text):
            return pb.StreamGenerateTextResponse(reasoning_delta=text)
        case TextStarted():
            return pb.StreamGenerateTextResponse(started=pack_started(event))
        case TextSwitched():
            return pb.StreamGenerateTextResponse(model_switched=pack_switched(event))
        case TextFinished():
            return pb.StreamGenerateTextResponse(finished=pack_finished(event))


def _pack_model(model: AvailableModel) -> pb.AvailableModel:
    order = list(_CAPABILITIES)
    return pb.AvailableModel(
        model=model.model,
        provider=model.provider,
        aliases=sorted(model.aliases),
        capabilities=[_CAPABILITIES[each] for each in sorted(model.capabilities, key=order.index)],
        context_window_tokens=model.context_window_tokens,
        offline=model.offline,
        input_usd_micros=model.price.input_usd_micros if model.price else None,
        output_usd_micros=model.price.output_usd_micros if model.price else None,
        available=model.available,
    )
