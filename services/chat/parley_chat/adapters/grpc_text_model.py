"""The inference service as a writer of texts that belong to no session."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import grpc
from parley.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.inference_errors import generation_error_from
from parley_chat.adapters.inference_messages import (
    pack_line,
    pack_passages,
    pack_rounds,
    pack_tool,
    price_of,
    tokens_from,
)
from parley_chat.domain.generation import Sampling
from parley_chat.ports.text_model import (
    ReasoningPiece,
    TextEnd,
    TextEnded,
    TextModelEvent,
    TextPiece,
    TextRequest,
    TextStarted,
    TextSwitched,
    TextToolCall,
)

_ENDS = {
    generation_pb2.FINISH_REASON_LENGTH: TextEnd.LENGTH,
    generation_pb2.FINISH_REASON_CONTENT_FILTER: TextEnd.CONTENT_FILTER,
}


class GrpcTextModel:
    """Writes through a channel to inference, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stream_generate = inference_service_pb2_grpc.InferenceServiceStub(channel).StreamGenerate
        self._token_for = token_for

    async def write(self, request: TextRequest, *, within_seconds: float) -> AsyncGenerator[TextModelEvent, None]:
        """Streams a text. Closing it cancels the call, and inference then closes the provider's connection."""
        call = self._stream_generate(
            _pack(request), metadata=bearer(self._token_for(request.user_id)), timeout=within_seconds
        )
        try:
            # `read` costs less for each message than iterating (performance of grpc.aio).
            while isinstance(response := await call.read(), inference_service_pb2.StreamGenerateResponse):
                if event := _unpack(response):
                    yield event
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        finally:
            call.cancel()


def _pack_sampling(sampling: Sampling) -> generation_pb2.Sampling:
    """Packs how to choose tokens; what is None stays absent."""
    return generation_pb2.Sampling(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_output_tokens=sampling.max_output_tokens,
        stop_sequences=sampling.stop_sequences,
        seed=sampling.seed,
    )


def _pack(request: TextRequest) -> inference_service_pb2.StreamGenerateRequest:
    messages = [message for line in request.lines for message in pack_line(line)]
    messages += pack_rounds(request.rounds)
    if request.instructions:
        system = generation_pb2.PROMPT_ROLE_SYSTEM
        messages.insert(0, generation_pb2.PromptMessage(role=system, text=request.instructions))
    packed = inference_service_pb2.StreamGenerateRequest(
        messages=messages,
        model=request.model,
        passages=pack_passages(request.passages),
        sampling=_pack_sampling(request.sampling),
        cache_seconds=request.cache_seconds,
        agent_id=request.agent_id,
        tools=[pack_tool(tool) for tool in request.tools],
    )
    if request.response_schema is not None:
        packed.response_schema.update(request.response_schema)
    return packed


def _unpack(response: inference_service_pb2.StreamGenerateResponse) -> TextModelEvent | None:
    match response.WhichOneof("event"):
        case "text_delta":
            return TextPiece(response.text_delta)
        case "reasoning_delta":
            return ReasoningPiece(response.reasoning_delta)
        case "tool_call":
            return TextToolCall(response.tool_call.name, response.tool_call.arguments_json)
        case "usage":
            return tokens_from(response.usage)
        case "started":
            started = response.started
            return TextStarted(started.model, started.offline, started.cached, price_of(started))
        case "provider_switched":
            switched = response.provider_switched
            return TextSwitched(switched.from_model, switched.to_model, switched.reason, price_of(switched))
        case "finished":
            return TextEnded(_ENDS.get(response.finished.reason, TextEnd.STOP))
        case _:
            return None
