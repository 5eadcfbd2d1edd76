"""The inference service as a maker of vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from parley.inference.v1 import embedding_service_pb2, embedding_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.inference_errors import generation_error_from
from parley_chat.ports.embedder import Embedded


class GrpcEmbedder:
    """Embeds through a channel to inference, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
        self._token_for = token_for

    async def embed(self, user_id: str, texts: Sequence[str], model: str, *, within_seconds: float) -> Embedded:
        """Asks inference for the vectors."""
        request = embedding_service_pb2.EmbedRequest(texts=texts, model=model)
        try:
            response = await self._stub.Embed(
                request, metadata=bearer(self._token_for(user_id)), timeout=within_seconds
            )
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        vectors = tuple(tuple(embedding.values) for embedding in response.embeddings)
        return Embedded(vectors, response.model, response.input_tokens)
