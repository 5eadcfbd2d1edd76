"""A wrapper that lets only so many calls of a provider run at a time, and tells how they went. The turns are `domain/call_queue.py`'s."""

from __future__ import annotations

from collections.abc import Sequence

from parley_inference.domain.call_queue import CallQueue
from parley_inference.domain.errors import InferenceError
from parley_inference.domain.provider_health import ProviderHealth
from parley_inference.ports.embedding_model import EmbeddingModel, Embeddings


class LimitedEmbeddingModel:
    """Wraps the embedding models of one provider. They share its queue with those that write; they have no breaker."""

    def __init__(self, model: EmbeddingModel, queue: CallQueue, health: ProviderHealth) -> None:
        self._model = model
        self._queue = queue
        self._health = health

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """As the wrapped one, once it is its turn; see the port. Raises ProviderQueueFullError."""
        async with self._queue.turn():
            try:
                embeddings = await self._model.embed(model, texts)
            except InferenceError as error:
                self._health.failed(error)
                raise
            self._health.went_well()
            return embeddings
