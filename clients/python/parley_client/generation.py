"""Text that belongs to no session, and the models that can write it: `parley.ai.v1.GenerationService`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf.struct_pb2 import Struct
from parley.ai.v1 import generation_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

# As long as a long text takes to write.
WHOLE_TEXT_SECONDS = 600.0

_SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]
GENERATE_TEXT = Rpc(_SERVICE, "GenerateText", pb.GenerateTextRequest, pb.GenerateTextResponse)
STREAM_GENERATE_TEXT = Rpc(_SERVICE, "StreamGenerateText", pb.StreamGenerateTextRequest, pb.StreamGenerateTextResponse)
LIST_AVAILABLE_MODELS = Rpc(
    _SERVICE, "ListAvailableModels", pb.ListAvailableModelsRequest, pb.ListAvailableModelsResponse
)
GET_AI_HEALTH = Rpc(_SERVICE, "GetAIHealth", pb.GetAIHealthRequest, pb.GetAIHealthResponse)


class Generation:
    """`client.generation`: texts without a session, of which nothing is kept. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def text(
        self,
        prompt: str,
        *,
        model: str = "",
        system: str = "",
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        response_schema: Mapping[str, Any] | None = None,
        cache_seconds: int = 0,
        timeout_seconds: float = WHOLE_TEXT_SECONDS,
    ) -> pb.GenerateTextResponse:
        """Generates a text and returns it whole.

        model: the model or alias; the default by default.
        system: instructions that come before the prompt.
        response_schema: a JSON Schema (draft 2020-12); the text is then one JSON document that satisfies it.
        cache_seconds: for how long the same answer may be given again for the same request; never by default.
        """
        request = pb.GenerateTextRequest(
            prompt=prompt,
            model=model,
            system=system,
            temperature=temperature,
            max_output_tokens=max_output_tokens,
            response_schema=_struct(response_schema),
            cache_seconds=cache_seconds,
        )
        return await self._connection.call(GENERATE_TEXT, request, timeout_seconds=timeout_seconds)

    def stream(
        self,
        prompt: str,
        *,
        model: str = "",
        system: str = "",
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        response_schema: Mapping[str, Any] | None = None,
        cache_seconds: int = 0,
    ) -> AsyncGenerator[pb.StreamGenerateTextResponse, None]:
        """Generates a text and streams it; the arguments are those of `text`. Closing the iterator ends the generation.

        A generation that fails gives a `failed` event and then raises the ParleyError of the failure.
        """
        request = pb.StreamGenerateTextRequest(
            prompt=prompt,
            model=model,
            system=system,
            temperature=temperature,
            max_output_tokens=max_output_tokens,
            response_schema=_struct(response_schema),
            cache_seconds=cache_seconds,
        )
        return self._connection.stream(STREAM_GENERATE_TEXT, request)

    async def models(self) -> Sequence[pb.AvailableModel]:
        """The models that a request may name, the default first."""
        response = await self._connection.call(LIST_AVAILABLE_MODELS, pb.ListAvailableModelsRequest())
        return tuple(response.models)

    async def health(self) -> pb.GetAIHealthResponse:
        """How the AI side does; answered also when inference is away."""
        return await self._connection.call(GET_AI_HEALTH, pb.GetAIHealthRequest())


def _struct(values: Mapping[str, Any] | None) -> Struct | None:
    if values is None:
        return None
    struct = Struct()
    struct.update(values)
    return struct
