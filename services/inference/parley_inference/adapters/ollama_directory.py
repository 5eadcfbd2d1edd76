"""Ollama's own list of the models that its user has pulled. Generating and embedding go through its OpenAI-compatible door.

Something else that stands at Ollama's address, and speaks only as OpenAI does, has its list there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import orjson

from parley_inference.adapters.openai_connection import OpenAIConnection
from parley_inference.domain.errors import ModelNotFoundError, ProviderStalledError, ProviderUnavailableError
from parley_inference.ports.model_directory import ModelDirectory

MOST_MODELS = 200
_MOST_BYTES_OF_A_LIST = 4 * 1024 * 1024
_LIST_SECONDS = 10.0
_ANY = "any"
"""So that 404 is told apart from what has failed."""


class OllamaDirectory:
    """Lists the models of one Ollama."""

    def __init__(self, connection: OpenAIConnection, elsewhere: ModelDirectory) -> None:
        """`elsewhere` is asked when the server has no such list."""
        self._connection = connection
        self._elsewhere = elsewhere

    async def model_names(self) -> Sequence[str]:
        """The models that are pulled, the one changed last first, as `ollama list` shows them; at most MOST_MODELS. See the port."""
        provider = self._connection.provider
        tags = self._connection.open("GET", "/api/tags", model=_ANY, beside_version=True)
        try:
            async with asyncio.timeout(_LIST_SECONDS), aclosing(await tags) as response:
                body = await self._connection.read(response, most_bytes=_MOST_BYTES_OF_A_LIST)
        except ModelNotFoundError:
            return await self._elsewhere.model_names()
        except TimeoutError:
            raise ProviderStalledError(provider, _LIST_SECONDS) from None
        try:
            return [str(model["name"]) for model in orjson.loads(body)["models"]][:MOST_MODELS]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise ProviderUnavailableError(provider, "sent a list of models that cannot be read") from None
