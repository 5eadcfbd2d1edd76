"""Language models behind an OpenAI-compatible server: OpenAI itself, Ollama, vLLM, llama.cpp, … by base URL.

One request to the provider per generation: it retries nothing (but a request whose form the server refuses and that can be put
otherwise), falls back to nothing and counts nothing that the provider did not count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TypeVar

import orjson

from parley_inference.adapters.completion_request import Dialect, Prefill, body_of
from parley_inference.adapters.completion_stream import CompletionStream
from parley_inference.adapters.event_stream import EventStream, EventTooLargeError
from parley_inference.adapters.openai_connection import TRANSPORT_ERRORS, OpenAIConnection
from parley_inference.domain.errors import (
    GenerationTooLongError,
    InferenceError,
    ProviderError,
    ProviderRejectedError,
    ProviderStalledError,
    ProviderUnavailableError,
)
from parley_inference.domain.generation import GenerationEvent, GenerationStarted
from parley_inference.domain.prompt import GenerationRequest

_Result = TypeVar("_Result")

_logger = logging.getLogger(__name__)

MOST_MODELS = 200
_MOST_ATTEMPTS = 3
"""As it is, then with each of the two things put otherwise that `Dialect` can learn."""
_MOST_BYTES_OF_A_LIST = 4 * 1024 * 1024
_LIST_SECONDS = 10.0
_LAST_WORDS_SECONDS = 5.0
"""How long usage may follow after the model has said why it ended."""
_REUSE_SECONDS = 0.25
"""How long the end of a body may follow after its last event, so that its connection can be used again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a provider may take, in seconds."""

    first_token: float
    """From the request to the first token."""
    idle: float
    """Between two tokens. Comments that keep a connection open are none."""
    total: float
    """For the whole generation."""


class OpenAICompatibleModel:
    """Generates through one connection."""

    def __init__(self, connection: OpenAIConnection, patience: Patience, prefill: Prefill = Prefill.NONE) -> None:
        self._connection = connection
        self._patience = patience
        self._dialect = Dialect.of_host(connection.host, prefill)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams one answer; see the port."""
        clock = _Clock(self._connection.provider, self._patience)
        for attempt in range(_MOST_ATTEMPTS):
            try:
                async with aclosing(self._attempt(request, clock)) as events:
                    async for event in events:
                        yield event
            except ProviderRejectedError as error:
                # Refused before anything was generated: nothing was yielded, so another try doubles nothing.
                if attempt == _MOST_ATTEMPTS - 1 or not self._dialect.learn(error.detail):
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

    async def _attempt(self, request: GenerationRequest, clock: _Clock) -> AsyncGenerator[GenerationEvent, None]:
        body = orjson.dumps(body_of(request, self._dialect))
        opening = self._connection.open("POST", "/chat/completions", body, model=request.model)
        completion = CompletionStream(self._connection.provider)
        # Closing a response whose body was not read to its end closes its socket, which is how a provider learns that nobody listens.
        async with aclosing(await clock.limit(opening)) as response:
            yield GenerationStarted(request.model, self._connection.provider)
            try:
                async with aclosing(self._read(response.aiter_bytes(), completion, clock)) as events:
                    async for event in events:
                        yield event
            except InferenceError:
                # What the provider has counted is on the bill, whatever came after.
                if completion.usage is not None:
                    yield completion.usage
                raise

    async def _read(
        self, body: AsyncIterator[bytes], completion: CompletionStream, clock: _Clock
    ) -> AsyncGenerator[GenerationEvent, None]:
        events = EventStream()
        while not completion.done:
            heard = completion.tokens_heard
            data = await self._next(body, completion, clock)
            failure = self._feed(completion, events, data)
            if completion.tokens_heard != heard:
                clock.restart()
            for event in completion.take():
                yield event
            if failure is not None:
                raise failure
            if data is None:
                break
        for event in completion.end():
            yield event
        if completion.done:
            await _read_to_the_end(body)

    async def _next(self, body: AsyncIterator[bytes], completion: CompletionStream, clock: _Clock) -> bytes | None:
        """The next read; None at the end of the body, and also when a finished answer's last words do not come."""
        try:
            if completion.finished:
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    return await anext(body, None)
            return await clock.limit(anext(body, None))
        except TRANSPORT_ERRORS as error:
            if completion.finished:
                return None
            raise self._connection.unavailable("broke off in the middle of an answer", error) from error

    def _feed(self, completion: CompletionStream, events: EventStream, data: bytes | None) -> ProviderError | None:
        """Feeds a read, or the end; gives back the error instead of raising it, because what came before it is still to be told."""
        try:
            for found in events.finish() if data is None else events.feed(data):
                completion.feed(found)
        except ProviderError as error:
            return error
        except EventTooLargeError:
            return ProviderUnavailableError(self._connection.provider, "sent an event that is too large to be one")
        return None


class _Clock:
    """The limits of one generation. Only waiting for the provider counts, not what a slow reader takes."""

    def __init__(self, provider: str, patience: Patience) -> None:
        self._provider = provider
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        started = self._loop.time()
        self._silence = patience.first_token
        self._deadline = started + patience.first_token
        self._end = started + patience.total
        self._is_fresh = False

    def restart(self) -> None:
        """The model wrote something: the next wait may take as long as the pause between two tokens."""
        self._is_fresh = True

    async def limit(self, waiting: Awaitable[_Result]) -> _Result:
        """Waits for the provider. Raises ProviderStalledError or GenerationTooLongError."""
        if self._is_fresh:
            self._is_fresh = False
            self._silence = self._patience.idle
            self._deadline = self._loop.time() + self._silence
        limit = asyncio.timeout_at(min(self._deadline, self._end))
        try:
            async with limit:
                return await waiting
        except TimeoutError:
            if not limit.expired():
                raise
            if self._end <= self._deadline:
                raise GenerationTooLongError(self._patience.total) from None
            raise ProviderStalledError(self._provider, self._silence) from None


async def _read_to_the_end(body: AsyncIterator[bytes]) -> None:
    """Reads what follows the last event, which is nothing: a body that was read to its end leaves its connection usable."""
    with suppress(TimeoutError, *TRANSPORT_ERRORS):
        async with asyncio.timeout(_REUSE_SECONDS):
            while await anext(body, None) is not None:
                pass
