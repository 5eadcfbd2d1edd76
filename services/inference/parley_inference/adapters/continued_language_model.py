"""A wrapper that lets any model go on with an answer that was interrupted: it asks in words, and cuts off what is repeated."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from parley_inference.domain.continuation import OverlapTrimmer
from parley_inference.domain.generation import GenerationEvent, GenerationFinished, TextDelta
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role
from parley_inference.ports.language_model import LanguageModel

GO_ON = (
    "Your last message was cut off. Go on with it from the exact character at which it ends: repeat none of it, do not begin anew, "
    "and say nothing about the interruption."
)


class ContinuedLanguageModel:
    """Passes a request without `answer_so_far` on as it is."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer, or what follows `answer_so_far`; see the port."""
        return self._go_on(request) if request.answer_so_far else self._model.generate(request)

    async def _go_on(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        trimmer = OverlapTrimmer(request.answer_so_far)
        messages = (
            *request.messages,
            PromptMessage(Role.ASSISTANT, request.answer_so_far),
            PromptMessage(Role.USER, GO_ON),
        )
        async with aclosing(self._model.generate(replace(request, messages=messages, answer_so_far=""))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    if text := trimmer.take(event.text):
                        yield TextDelta(text)
                    continue
                if isinstance(event, GenerationFinished) and (text := trimmer.end()):
                    yield TextDelta(text)
                yield event
