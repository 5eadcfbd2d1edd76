"""The inference service as a language model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import grpc
from parley.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.inference_errors import generation_error_from
from parley_chat.adapters.inference_messages import (
    PackedTools,
    pack_line,
    pack_passages,
    pack_rounds,
    price_of,
    tokens_from,
)
from parley_chat.ports.language_model import (
    GeneratedReasoning,
    GeneratedText,
    GeneratedToolCall,
    GenerationEnd,
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    GenerationStarted,
    GenerationSwitched,
)

_ENDS = {
    generation_pb2.FINISH_REASON_LENGTH: GenerationEnd.LENGTH,
    generation_pb2.FINISH_REASON_CONTENT_FILTER: GenerationEnd.CONTENT_FILTER,
    generation_pb2.FINISH_REASON_TOOL_CALLS: GenerationEnd.TOOL_CALLS,
}
UNREACHABLE = "The model service cannot be reached right now. Your message is kept; try again in a moment."


class GrpcLanguageModel:
    """Generates through a channel to inference, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        # One multicallable for all calls: making one costs more than using one.
        self._stream_generate = inference_service_pb2_grpc.InferenceServiceStub(channel).StreamGenerate
        self._token_for = token_for
        self._tools = PackedTools()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer. Closing it cancels the call, and inference then closes the provider's connection."""
        call = self._stream_generate(_pack(request, self._tools), metadata=bearer(self._token_for(request.user_id)))
        try:
            # `read` costs less for each message than iterating (performance of grpc.aio).
            while isinstance(response := await call.read(), inference_service_pb2.StreamGenerateResponse):
                if event := _unpack(response):
                    yield event
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error, UNREACHABLE) from error
        finally:
            call.cancel()


def _pack(request: GenerationRequest, tools: PackedTools) -> inference_service_pb2.StreamGenerateRequest:
    return inference_service_pb2.StreamGenerateRequest(
        messages=[
            generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_SYSTEM, text=request.instructions),
            *(message for line in request.lines for message in pack_line(line)),
            *pack_rounds(request.rounds),
        ],
        tools=[tools.pack(tool) for tool in request.tools],
        model=request.model,
        passages=pack_passages(request.passages),
        answer_so_far=request.answer_so_far,
    )


def _unpack(response: inference_service_pb2.StreamGenerateResponse) -> GenerationEvent | None:
    match response.WhichOneof("event"):
        case "text_delta":
            return GeneratedText(_storable(response.text_delta))
        case "reasoning_delta":
            return GeneratedReasoning(_storable(response.reasoning_delta))
        case "tool_call":
            call = response.tool_call
            return GeneratedToolCall(_storable(call.name), _storable(call.arguments_json))
        case "usage":
            return tokens_from(response.usage)
        case "started":
            started = response.started
            return GenerationStarted(_storable(started.model), started.offline, price_of(started))
        case "provider_switched":
            switched = response.provider_switched
            return GenerationSwitched(
                _storable(switched.from_model), _storable(switched.to_model), switched.reason, price_of(switched)
            )
        case "finished":
            return GenerationFinished(_ENDS.get(response.finished.reason, GenerationEnd.STOP))
        case _:
            return None


def _storable(text: str) -> str:
    """Replaces U+0000, which PostgreSQL takes in no text: an answer with one could be told and not kept."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
