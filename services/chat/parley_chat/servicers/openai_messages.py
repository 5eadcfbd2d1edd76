"""Packs answers as OpenAI's clients know them. No checks: those are openai_requests.py's."""

from __future__ import annotations

import base64
import struct
import time
import uuid
from collections.abc import Iterator, Sequence

from google.protobuf.struct_pb2 import ListValue, Value
from parley.openai.v1 import openai_service_pb2 as pb
from parley_shared.status import StatusError

from parley_chat.domain.generation import GenerationUsage
from parley_chat.domain.models import AvailableModel
from parley_chat.operations.text_generations import RoundEvent, TextFinished
from parley_chat.ports.embedder import Embedded
from parley_chat.ports.text_model import (
    ReasoningPiece,
    TextEnd,
    TextPiece,
    TextStarted,
    TextSwitched,
    TextToolCall,
)

_ENDS = {TextEnd.STOP: "stop", TextEnd.LENGTH: "length", TextEnd.CONTENT_FILTER: "content_filter"}
_MOST_TOKENS = 2**31 - 1
"""What the contract's numbers hold. Providers' figures are summed, and not all providers are right."""
ERROR_TYPES = {
    "INVALID_ARGUMENT": "invalid_request_error",
    "FAILED_PRECONDITION": "invalid_request_error",
    "NOT_FOUND": "invalid_request_error",
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
}
"""As the edge says them of errors that are an answer of their own (deploy/envoy)."""


class Completion:
    """One answer, as its events come: packs them as chunks, and gathers them for who wants the answer whole."""

    def __init__(self, *, include_usage: bool = False) -> None:
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._include_usage = include_usage
        self._model = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[pb.ChatToolCall] = []

    def chunks(self, event: RoundEvent) -> Iterator[pb.StreamChatCompletionResponse]:
        """The chunks of an event, the last of all behind that of the end."""
        match event:
            case TextStarted(model):
                self._model = model
                yield self._chunk(pb.ChatDelta(role="assistant", content=""))
            case TextSwitched():
                self._model = event.to_model
            case TextPiece(text):
                yield self._chunk(pb.ChatDelta(content=text))
            case ReasoningPiece(text):
                yield self._chunk(pb.ChatDelta(reasoning_content=text))
            case TextToolCall():
                yield self._chunk(pb.ChatDelta(tool_calls=[self._call(event)]))
            case TextFinished():
                yield self._chunk(pb.ChatDelta(), self._end(event))
                if self._include_usage:
                    yield self._message(usage=_usage(event.usage))
                yield self._message(object="chat.completion.done", done=True)

    def broken_off(self, error: StatusError) -> pb.StreamChatCompletionResponse:
        """The last message of a stream that failed."""
        told = pb.StreamError(
            message=error.message,
            type=ERROR_TYPES.get(error.code.name, "api_error"),
            code=error.reason.removeprefix("ERROR_REASON_").lower(),
        )
        return self._message(error=told)

    def take(self, event: RoundEvent) -> None:
        """Gathers an event."""
        match event:
            case TextStarted(model):
                self._model = model
            case TextSwitched():
                self._model = event.to_model
            case TextPiece(text):
                self._text.append(text)
            case ReasoningPiece(text):
                self._reasoning.append(text)
            case TextToolCall():
                self._call(event)
            case TextFinished():
                pass

    def whole(self, finished: TextFinished) -> pb.CreateChatCompletionResponse:
        """The answer that was gathered."""
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        answer = pb.ChatAnswer(
            role="assistant",
            content=text if text or not self._calls else None,
            tool_calls=self._calls,
            reasoning_content=reasoning or None,
        )
        return pb.CreateChatCompletionResponse(
            id=self._id,
            object="chat.completion",
            created=self._created,
            model=self._model,
            choices=[pb.ChatChoice(index=0, message=answer, finish_reason=self._end(finished))],
            usage=_usage(finished.usage),
        )

    def _call(self, call: TextToolCall) -> pb.ChatToolCall:
        packed = pb.ChatToolCall(
            index=len(self._calls),
            id=f"call_{uuid.uuid4().hex}",
            type="function",
            function=pb.ChatFunctionCall(name=call.tool, arguments=call.arguments_json),
        )
        self._calls.append(packed)
        return packed

    def _end(self, finished: TextFinished) -> str:
        # A model that calls ends to wait for the results, whatever its provider says.
        return "tool_calls" if self._calls and finished.end is TextEnd.STOP else _ENDS[finished.end]

    def _chunk(self, delta: pb.ChatDelta, finish_reason: str | None = None) -> pb.StreamChatCompletionResponse:
        return self._message(choices=[pb.ChunkChoice(index=0, delta=delta, finish_reason=finish_reason)])

    def _message(
        self,
        *,
        object: str = "chat.completion.chunk",  # noqa: A002 - OpenAI's name of the field
        choices: Sequence[pb.ChunkChoice] = (),
        usage: pb.ChatUsage | None = None,
        error: pb.StreamError | None = None,
        done: bool | None = None,
    ) -> pb.StreamChatCompletionResponse:
        return pb.StreamChatCompletionResponse(
            id=self._id,
            object=object,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage,
            error=error,
            done=done,
        )


def pack_models(models: Sequence[AvailableModel]) -> pb.ListOpenAIModelsResponse:
    """Packs the names by which models are asked for."""
    return pb.ListOpenAIModelsResponse(
        object="list",
        data=[
            pb.OpenAIModel(id=name, object="model", owned_by=model.provider)
            for model in models
            for name in (model.model, *sorted(model.aliases))
        ],
    )


def pack_embeddings(embedded: Embedded, encoding_format: str) -> pb.CreateEmbeddingsResponse:
    """Packs vectors."""
    pack = _base64 if encoding_format == "base64" else _numbers
    tokens = min(embedded.input_tokens, _MOST_TOKENS)
    return pb.CreateEmbeddingsResponse(
        object="list",
        data=[
            pb.OpenAIEmbedding(object="embedding", index=index, embedding=pack(vector))
            for index, vector in enumerate(embedded.vectors)
        ],
        model=embedded.model,
        usage=pb.EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _base64(vector: Sequence[float]) -> Value:
    return Value(string_value=base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode())


def _numbers(vector: Sequence[float]) -> Value:
    # Nine digits are all that a 32-bit float has: without this, 0.1 is written as 0.10000000149011612.
    values = [Value(number_value=float(f"{component:.9g}")) for component in vector]
    return Value(list_value=ListValue(values=values))


def _usage(usage: GenerationUsage) -> pb.ChatUsage:
    return pb.ChatUsage(
        prompt_tokens=min(usage.input_tokens, _MOST_TOKENS),
        completion_tokens=min(usage.output_tokens, _MOST_TOKENS),
        total_tokens=min(usage.input_tokens + usage.output_tokens, _MOST_TOKENS),
        prompt_tokens_details=pb.PromptTokensDetails(cached_tokens=min(usage.cached_input_tokens, _MOST_TOKENS)),
    )
