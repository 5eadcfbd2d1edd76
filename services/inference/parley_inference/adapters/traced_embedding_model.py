"""An embedding model with a span around each of its calls, which are counted."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.trace import SpanKind
from parley_shared.telemetry import span

from parley_inference.domain.provider_traffic import ProviderTraffic
from parley_inference.ports.embedding_model import EmbeddingModel, Embeddings


class TracedEmbeddingModel:
    """Wraps the embedding models of one provider."""

    def __init__(self, model: EmbeddingModel, provider: str, traffic: ProviderTraffic | None = None) -> None:
        """`traffic` is the provider's own account of its calls."""
        self._model = model
        self._provider = provider
        self._traffic = traffic or ProviderTraffic()

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """As the wrapped one; see the port."""
        asked = {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": self._provider,
            "gen_ai.system": self._provider,
            "gen_ai.request.model": model,
        }
        with span(f"embeddings {model}", asked, kind=SpanKind.CLIENT) as opened:
            embeddings = await self._embed(model, texts)
            opened.set_attribute("gen_ai.response.model", embeddings.model)
            if embeddings.input_tokens is not None:
                opened.set_attribute("gen_ai.usage.input_tokens", embeddings.input_tokens)
            if embeddings.vectors:
                opened.set_attribute("gen_ai.embeddings.dimension.count", len(embeddings.vectors[0]))
            return embeddings

    async def _embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        self._traffic.begin()
        try:
            embeddings = await self._model.embed(model, texts)
        except BaseException as error:
            self._traffic.end(error)
            raise
        self._traffic.end(None)
        return embeddings
