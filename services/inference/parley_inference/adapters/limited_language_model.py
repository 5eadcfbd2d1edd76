"""A wrapper that lets only so many calls of a provider run at a time, and only so many wait. The turns are `domain/call_queue.py`'s."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from parley_inference.domain.call_queue import CallQueue
from parley_inference.domain.generation import GenerationEvent
from parley_inference.domain.prompt import GenerationRequest
from parley_inference.ports.language_model import LanguageModel


class LimitedLanguageModel:
    """Wraps the models of one provider: they share its queue, its embedding models too."""

    def __init__(self, model: LanguageModel, queue: CallQueue) -> None:
        self._model = model
        self._queue = queue

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """As the wrapped one, once it is its turn; see the port. Raises ProviderQueueFullError."""
        async with self._queue.turn(), aclosing(self._model.generate(request)) as events:
            async for event in events:
                yield event
