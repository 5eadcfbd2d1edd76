"""EmbeddingService: vectors of texts."""

from __future__ import annotations

from typing import Any

import grpc
from parley.inference.v1 import embedding_service_pb2, embedding_service_pb2_grpc

from parley_inference.operations.embeddings import TextEmbedding
from parley_inference.servicers.validation import check_embed


class EmbeddingServicer(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    """Serves embeddings."""

    def __init__(self, embedding: TextEmbedding) -> None:
        self._embedding = embedding

    async def Embed(
        self, request: embedding_service_pb2.EmbedRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> embedding_service_pb2.EmbedResponse:
        """Embeds texts."""
        check_embed(request)
        embedded = await self._embedding.embed(request.model, list(request.texts))
        return embedding_service_pb2.EmbedResponse(
            embeddings=[
                embedding_service_pb2.Embedding(values=vector, model=embedded.model) for vector in embedded.vectors
            ],
            model=embedded.model,
            input_tokens=embedded.input_tokens,
            cached_count=embedded.cached_count,
            dimensions=embedded.dimensions,
        )
