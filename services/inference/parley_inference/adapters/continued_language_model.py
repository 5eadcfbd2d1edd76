"""A wrapper that lets any model go on with an answer that was interrupted: from its beginning, where the provider takes one, else it is
asked in words. What the model repeats is cut off.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from parley_inference.domain.continuation import OverlapTrimmer
from parley_inference.domain.errors import ProviderRejectedError
from parley_inference.domain.generation import GenerationEvent, GenerationFinished, TextDelta
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role
from parley_inference.ports.language_model import LanguageModel

_logger = logging.getLogger(__name__)

GO_ON = (
    "Your last message was cut off. Go on with it from the exact character at which it ends: repeat none of it, do not begin anew, "
    "and say nothing about the interruption."
)


class ContinuedLanguageModel:
    """Passes a request without `answer_so_far` on as it is, and with `has_prefill` the others too, unless it is refused."""

    def __init__(self, model: LanguageModel, *, has_prefill: bool = False) -> None:
        self._model = model
        self._has_prefill = has_prefill
        self._without_prefill: set[str] = set()
        """Models that were refused with the beginning of an answer and not without. As many as are configured."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer, or what follows `answer_so_far`; see the port."""
        return self._go_on(request) if request.answer_so_far else self._model.generate(request)

    async def _go_on(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        if not self._has_prefill or request.model in self._without_prefill:
            async with aclosing(self._asked_in_words(request)) as events:
                async for event in events:
                    yield event
            return
        try:
            # Who goes on from the beginning repeats nothing of it; some servers send all of it once more.
            trimmer = OverlapTrimmer(request.answer_so_far, only_whole=True)
            async with aclosing(self._trimmed(request, trimmer)) as events:
                async for event in events:
                    yield event
        except ProviderRejectedError:
            # A refusal comes before anything was generated. Reasoning models and some templates take no beginning.
            async with aclosing(self._asked_in_words(request)) as events:
                async for event in events:
                    if request.model not in self._without_prefill:
                        self._without_prefill.add(request.model)
                        _logger.info(
                            "the model %s takes no beginning of an answer; it is asked in words", request.model
                        )
                    yield event

    def _asked_in_words(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        messages = (
            *request.messages,
            PromptMessage(Role.ASSISTANT, request.answer_so_far),
            PromptMessage(Role.USER, GO_ON),
        )
        return self._trimmed(
            replace(request, messages=messages, answer_so_far=""), OverlapTrimmer(request.answer_so_far)
        )

    async def _trimmed(
        self, request: GenerationRequest, trimmer: OverlapTrimmer
    ) -> AsyncGenerator[GenerationEvent, None]:
        async with aclosing(self._model.generate(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    if text := trimmer.take(event.text):
                        yield TextDelta(text)
                    continue
                if isinstance(event, GenerationFinished) and (text := trimmer.end()):
                    yield TextDelta(text)
                yield event
