"""OpenAIService: unpacks, checks, calls, packs. What OpenAI's clients ask for, answered by what Parley's own rpcs stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from grpc import StatusCode
from parley.openai.v1 import openai_service_pb2 as pb
from parley.openai.v1 import openai_service_pb2_grpc
from parley_shared.status import StatusError, internal
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain.errors import GenerationError
from parley_chat.operations.text_generations import BROKE_OFF, TextFinished, TextGenerations
from parley_chat.ports.embedder import Embedder
from parley_chat.servicers import openai_requests as requests
from parley_chat.servicers.generation_messages import in_terms_of, told_in_terms_of
from parley_chat.servicers.openai_messages import Completion, pack_embeddings, pack_models
from parley_chat.servicers.status import to_status_error

_MESSAGES = "messages"
_EMBED_SECONDS = 60.0
"""How long vectors are waited for."""

Context = grpc.aio.ServicerContext[object, object]


class OpenAIServicer(openai_service_pb2_grpc.OpenAIServiceServicer):
    """Serves OpenAI's clients."""

    def __init__(self, generations: TextGenerations, embedder: Embedder) -> None:
        self._generations = generations
        self._embedder = embedder

    async def CreateChatCompletion(
        self, request: pb.CreateChatCompletionRequest, context: Context
    ) -> pb.CreateChatCompletionResponse:
        """Completes whole."""
        asked = requests.text_request(request, current_principal().user_id)
        completion, finished = Completion(), None
        with in_terms_of(_MESSAGES):
            async with aclosing(self._generations.stream_round(asked)) as events:
                async for event in events:
                    completion.take(event)
                    if isinstance(event, TextFinished):
                        finished = event
            if finished is None:
                raise GenerationError(BROKE_OFF)
        return completion.whole(finished)

    async def StreamChatCompletion(
        self, request: pb.StreamChatCompletionRequest, context: Context
    ) -> AsyncIterator[pb.StreamChatCompletionResponse]:
        """Completes chunk by chunk."""
        asked = requests.text_request(request, current_principal().user_id)
        completion, begun = Completion(include_usage=request.stream_options.include_usage), False
        try:
            async with aclosing(self._generations.stream_round(asked)) as events:
                async for event in events:
                    for chunk in completion.chunks(event):
                        begun = True
                        yield chunk
        except Exception as error:
            told = told_in_terms_of(_MESSAGES, error) if isinstance(error, GenerationError) else error
            if begun:
                # Through REST the status is lost by now: without this, a stream that broke off would look whole.
                yield completion.broken_off(to_status_error(told) or internal())
            raise told from error

    async def ListOpenAIModels(
        self, request: pb.ListOpenAIModelsRequest, context: Context
    ) -> pb.ListOpenAIModelsResponse:
        """Lists the models."""
        return pack_models(await self._generations.models(current_principal().user_id))

    async def GetOpenAIModel(self, request: pb.GetOpenAIModelRequest, context: Context) -> pb.GetOpenAIModelResponse:
        """Describes a model."""
        requests.check_get_model(request)
        for model in await self._generations.models(current_principal().user_id):
            if request.model in {model.model, *model.aliases}:
                return pb.GetOpenAIModelResponse(id=request.model, object="model", owned_by=model.provider)
        raise StatusError(
            StatusCode.NOT_FOUND,
            "ERROR_REASON_MODEL_NOT_FOUND",
            "There is no such model.",
            metadata={"model": request.model},
        )

    async def CreateEmbeddings(
        self, request: pb.CreateEmbeddingsRequest, context: Context
    ) -> pb.CreateEmbeddingsResponse:
        """Embeds."""
        texts = requests.texts_to_embed(request)
        with in_terms_of("input"):
            embedded = await self._embedder.embed(
                current_principal().user_id, texts, request.model, within_seconds=_EMBED_SECONDS
            )
        made = len(embedded.vectors[0])
        if request.HasField("dimensions") and request.dimensions != made:
            violations = Violations()
            violations.add(
                "dimensions", f"must be absent or {made}: the vectors of {embedded.model} have no other length"
            )
            violations.check()
        return pack_embeddings(embedded, request.encoding_format)
