"""Language models behind an OpenAI-compatible server: OpenAI itself, Ollama, vLLM, llama.cpp, … by base URL.

One request to the provider per generation: it retries nothing (but a request whose form the server refuses and that can be put
otherwise), falls back to nothing and counts nothing that the provider did not count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson

from parley_inference.adapters.answer_reading import read_answer
from parley_inference.adapters.completion_request import Dialect, Prefill, SchemaForm, body_of
from parley_inference.adapters.completion_stream import CompletionStream
from parley_inference.adapters.json_schemas import refuses_every_schema, refuses_schema
from parley_inference.adapters.openai_connection import OpenAIConnection
from parley_inference.adapters.patience import Clock, Patience
from parley_inference.domain.errors import ProviderRejectedError, ProviderStalledError, ProviderUnavailableError
from parley_inference.domain.generation import GenerationEvent, GenerationStarted
from parley_inference.domain.prompt import GenerationRequest, has_images

_logger = logging.getLogger(__name__)

MOST_MODELS = 200
_MOST_ATTEMPTS = 3
"""As it is, then with each of the two things put otherwise that `Dialect` can learn. A schema told in words is one more."""
_MOST_BYTES_OF_A_LIST = 4 * 1024 * 1024
_LIST_SECONDS = 10.0


class OpenAICompatibleModel:
    """Generates through one connection."""

    def __init__(self, connection: OpenAIConnection, patience: Patience, prefill: Prefill = Prefill.NONE) -> None:
        self._connection = connection
        self._patience = patience
        self._dialect = Dialect.of_host(connection.host, prefill)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams one answer; see the port."""
        clock = Clock(self._connection.provider, self._patience)
        form = self._dialect.schema_form
        most = _MOST_ATTEMPTS + (request.response_schema is not None)
        for attempt in range(most):
            try:
                async with aclosing(self._attempt(request, clock, form)) as events:
                    async for event in events:
                        yield event
            except ProviderRejectedError as error:
                # Refused before anything was generated: nothing was yielded, so another try doubles nothing.
                told_natively = request.response_schema is not None and form is not SchemaForm.WORDS
                if told_natively and refuses_schema(error.detail):
                    form = SchemaForm.WORDS
                    if refuses_every_schema(error.detail):
                        self._dialect.schema_form = form
                elif attempt == most - 1 or not self._dialect.learn(error.detail):
                    raise
                _logger.info("%s wants requests in another form; trying again", error.provider)
            else:
                return

    async def model_names(self) -> Sequence[str]:
        """What the server lists, as a ModelDirectory; at most MOST_MODELS."""
        provider = self._connection.provider
        try:
            async with (
                asyncio.timeout(_LIST_SECONDS),
                aclosing(await self._connection.open("GET", "/models")) as response,
            ):
                body = await self._connection.read(response, most_bytes=_MOST_BYTES_OF_A_LIST)
        except TimeoutError:
            raise ProviderStalledError(provider, _LIST_SECONDS) from None
        try:
            return [str(model["id"]) for model in orjson.loads(body)["data"]][:MOST_MODELS]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise ProviderUnavailableError(provider, "sent a list of models that cannot be read") from None

    async def _attempt(
        self, request: GenerationRequest, clock: Clock, form: SchemaForm
    ) -> AsyncGenerator[GenerationEvent, None]:
        # Megabytes of pictures are written out in a thread: the event loop need not wait for it.
        body = await asyncio.to_thread(self._body, request, form) if has_images(request) else self._body(request, form)
        opening = self._connection.open("POST", "/chat/completions", body, model=request.model)
        completion = CompletionStream(self._connection.provider)
        # Closing a response whose body was not read to its end closes its socket, which is how a provider learns that nobody listens.
        async with aclosing(await clock.limit(opening)) as response:
            yield GenerationStarted(request.model, self._connection.provider)
            async with aclosing(read_answer(response, completion, self._connection, clock)) as events:
                async for event in events:
                    yield event

    def _body(self, request: GenerationRequest, form: SchemaForm) -> bytes:
        return orjson.dumps(body_of(request, self._dialect, schema_form=form))
