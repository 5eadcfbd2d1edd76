"""Embedding models behind an OpenAI-compatible server. How many texts a call may have is said by who calls (operations/embeddings.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import orjson

from parley_inference.adapters.openai_connection import OpenAIConnection
from parley_inference.domain.errors import ProviderStalledError, ProviderUnavailableError
from parley_inference.ports.embedding_model import Embeddings

_MOST_BYTES = 64 * 1024 * 1024


class OpenAICompatibleEmbeddingModel:
    """Embeds through one connection."""

    def __init__(self, connection: OpenAIConnection, request_seconds: float) -> None:
        self._connection = connection
        self._request_seconds = request_seconds

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Embeds in one request; see the port."""
        answer = await self._request(model, texts)
        usage = answer.get("usage")
        used = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        counted = used if isinstance(used, int) and used >= 0 else None
        return Embeddings(self._vectors(answer, len(texts)), model, counted)

    async def _request(self, model: str, texts: Sequence[str]) -> dict[str, Any]:
        # Plain numbers: base64, the package's default, is not known to every compatible server.
        body = orjson.dumps({"model": model, "input": list(texts), "encoding_format": "float"})
        connection = self._connection
        try:
            async with (
                asyncio.timeout(self._request_seconds),
                aclosing(await connection.open("POST", "/embeddings", body, model=model)) as response,
            ):
                data = await connection.read(response, most_bytes=_MOST_BYTES)
        except TimeoutError:
            raise ProviderStalledError(connection.provider, self._request_seconds) from None
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise ProviderUnavailableError(connection.provider, "sent embeddings that cannot be read")
        return answer

    def _vectors(self, answer: dict[str, Any], count: int) -> list[Sequence[float]]:
        """The vectors in the order of the texts, which is what `index` is for: servers need not keep it."""
        try:
            entries = sorted(answer["data"], key=lambda entry: int(entry["index"]))
            vectors = [[float(value) for value in entry["embedding"]] for entry in entries]
            indexes = [int(entry["index"]) for entry in entries]
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ProviderUnavailableError(self._connection.provider, "sent embeddings that cannot be read") from None
        if indexes != list(range(count)) or not all(vectors):
            raise ProviderUnavailableError(self._connection.provider, "sent embeddings for other texts than asked")
        if len({len(vector) for vector in vectors}) > 1:
            raise ProviderUnavailableError(self._connection.provider, "sent vectors of different lengths")
        return list(vectors)
