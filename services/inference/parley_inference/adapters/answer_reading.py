"""Reads a streamed answer to its end, whatever API it is of: within the clock's limits, and the text of one read as one event.

What the events of the body mean is an AnswerStream's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Protocol

import httpx2

from parley_inference.adapters.event_stream import EventStream, EventTooLargeError
from parley_inference.adapters.patience import Clock
from parley_inference.adapters.provider_connection import TRANSPORT_ERRORS, ProviderConnection
from parley_inference.domain.errors import InferenceError, ProviderError, ProviderUnavailableError
from parley_inference.domain.generation import GenerationEvent, TokenUsage

_LAST_WORDS_SECONDS = 5.0
"""How long usage may follow after the model has said why it ended."""
_REUSE_SECONDS = 0.25
"""How long the end of a body may follow after its last event, so that its connection can be used again."""


class AnswerStream(Protocol):
    """Turns the events of one API's stream into those of a generation. Reads nothing itself."""

    @property
    def tokens_heard(self) -> int:
        """Grows with everything that the model wrote."""
        ...

    @property
    def done(self) -> bool:
        """Whether the server has said that nothing more follows."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the model has said why it ended."""
        ...

    @property
    def usage(self) -> TokenUsage | None:
        """What is known of the bill so far; None when nothing is."""
        ...

    def feed(self, data: bytes) -> None:
        """Reads the data of one event. Raises ProviderError."""
        ...

    def take(self) -> list[GenerationEvent]:
        """The events since it was last asked, in order."""
        ...

    def end(self) -> list[GenerationEvent]:
        """What is left when the body has ended. Raises ProviderUnavailableError when the model had not finished."""
        ...


async def read_answer(
    response: httpx2.Response, answer: AnswerStream, connection: ProviderConnection, clock: Clock
) -> AsyncGenerator[GenerationEvent, None]:
    """The events of an answer. `response` is left to the caller to close.

    Raises ProviderError and GenerationTooLongError, after what came before.
    """
    reader = _Reader(response.aiter_bytes(), answer, connection, clock)
    try:
        with connection.beat.answer():
            async with aclosing(reader.events()) as events:
                async for event in events:
                    yield event
    except InferenceError:
        # What the provider has counted is on the bill, whatever came after.
        if answer.usage is not None:
            yield answer.usage
        raise


class _Reader:
    """One body while it is read."""

    def __init__(
        self, body: AsyncIterator[bytes], answer: AnswerStream, connection: ProviderConnection, clock: Clock
    ) -> None:
        self._body = body
        self._answer = answer
        self._connection = connection
        self._clock = clock
        self._events = EventStream()

    async def events(self) -> AsyncGenerator[GenerationEvent, None]:
        answer = self._answer
        while not answer.done:
            heard = answer.tokens_heard
            data = await self._next()
            failure = self._feed(data)
            has_news = answer.tokens_heard != heard
            if has_news:
                self._clock.restart()
            for event in answer.take():
                yield event
            if failure is not None:
                raise failure
            if data is None:
                break
            if has_news and not (answer.finished or answer.done):
                await self._connection.beat.rest()
        for event in answer.end():
            yield event
        if answer.done:
            await self._read_to_the_end()

    async def _next(self) -> bytes | None:
        """The next read; None at the end of the body, and also when a finished answer's last words do not come."""
        try:
            if self._answer.finished:
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    return await anext(self._body, None)
            return await self._clock.limit(anext(self._body, None))
        except TRANSPORT_ERRORS as error:
            if self._answer.finished:
                return None
            raise self._connection.unavailable("broke off in the middle of an answer", error) from error

    def _feed(self, data: bytes | None) -> ProviderError | None:
        """Feeds a read, or the end; gives back the error instead of raising it, because what came before it is still to be told."""
        try:
            for found in self._events.finish() if data is None else self._events.feed(data):
                self._answer.feed(found)
        except ProviderError as error:
            # Its detail names what the provider said, be it only the kind of an error.
            return type(error)(error.provider, self._connection.redacted(error.detail))
        except EventTooLargeError:
            return ProviderUnavailableError(self._connection.provider, "sent an event that is too large to be one")
        return None

    async def _read_to_the_end(self) -> None:
        """Reads what follows the last event, which is nothing: a body that was read to its end leaves its connection usable."""
        with suppress(TimeoutError, *TRANSPORT_ERRORS):
            async with asyncio.timeout(_REUSE_SECONDS):
                while await anext(self._body, None) is not None:
                    pass
