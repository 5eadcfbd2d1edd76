"""Generating: finds out whether an answer is kept already, lets models write one, and says what they used, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from parley_inference.domain.errors import InferenceError
from parley_inference.domain.generation import (
    NOTHING_USED,
    FinishReason,
    Generation,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ProviderSwitched,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.models import Capability
from parley_inference.domain.prompt import GenerationRequest, ToolCall
from parley_inference.operations.answer_cache import AnswerCache, KeptAnswer, key_of
from parley_inference.operations.model_chain import MOST_CHARACTERS, Bill, ModelChain
from parley_inference.operations.models import Models
from parley_inference.operations.structured_answers import StructuredAnswers
from parley_inference.ports.schema_checker import SchemaChecker

_CHARACTERS_OF_A_KEPT_DELTA = 4_000
"""An answer that was kept comes in pieces, too: whoever shows a stream shows it from its first piece on."""


class Generations:
    """The use cases of generating. Keeps nothing between calls but the answers that their callers want kept."""

    def __init__(
        self,
        models: Models,
        checker: SchemaChecker,
        cache: AnswerCache,
        *,
        max_characters: int = MOST_CHARACTERS,
    ) -> None:
        self._models = models
        self._cache = cache
        self._chain = ModelChain(models, max_characters=max_characters)
        self._structured = StructuredAnswers(self._chain, checker)

    async def stream(self, request: GenerationRequest, *, user_id: str = "") -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer: GenerationStarted, deltas and tool calls, TokenUsage at least once, GenerationFinished; and
        ProviderSwitched where the next model of the chain goes on.

        `user_id` is the acting user: an answer that is kept is given to nobody else. Two equal requests at a time are both answered by
        the model; the second does not wait for the first. An error comes after a TokenUsage when anything was used. Raises
        InferenceError.
        """
        key = await self._key_of(request, user_id)
        if key and (kept := self._cache.get(key, request.cache_seconds)) is not None:
            for event in self._told(kept):
                yield event
            return
        bill = Bill()
        writing = self._chain.write if request.response_schema is None else self._structured.write
        answer = _Gathered()
        async with aclosing(writing(request, bill)) as events:
            async for event in events:
                if key:
                    answer.take(event)
                    if type(event) is GenerationFinished and answer.may_be_kept:
                        self._cache.put(key, answer.kept(), request.cache_seconds)
                yield event

    async def whole(self, request: GenerationRequest, *, user_id: str = "") -> Generation:
        """Generates and gathers the answer. Raises InferenceError."""
        answer = _Gathered()
        async with aclosing(self.stream(request, user_id=user_id)) as events:
            async for event in events:
                answer.take(event)
        return answer.whole()

    async def _key_of(self, request: GenerationRequest, user_id: str) -> bytes:
        """The key of an answer to this request; empty when none may be kept or given."""
        if not request.cache_seconds or not self._cache.keeps_any:
            return b""
        try:
            model = await self._models.resolve(request.model, Capability.GENERATE)
        except InferenceError:
            # Whoever lets the model write says so, or asks the next.
            return b""
        return await asyncio.to_thread(key_of, request, model, user_id)

    def _told(self, kept: KeptAnswer) -> list[GenerationEvent]:
        """A kept answer as events."""
        price = self._models.price_of(kept.provider, kept.model)
        events: list[GenerationEvent] = [
            GenerationStarted(kept.model, kept.provider, offline=kept.offline, price=price, cached=True)
        ]
        events += [ReasoningDelta(piece) for piece in _pieces(kept.reasoning)]
        events += [TextDelta(piece) for piece in _pieces(kept.text)]
        return [*events, NOTHING_USED, GenerationFinished(FinishReason.STOP)]


class _Gathered:
    """The events of one answer put together."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._started = GenerationStarted("", "")
        self._switched: ProviderSwitched | None = None
        self._usage = TokenUsage(0, 0, estimated=True)
        self._finished = GenerationFinished(FinishReason.STOP)

    def take(self, event: GenerationEvent) -> None:
        """Takes the next."""
        match event:
            case TextDelta():
                self._text.append(event.text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
            case ToolCall():
                self._tool_calls.append(event)
            case TokenUsage():
                self._usage = event
            case GenerationStarted():
                self._started = event
            case ProviderSwitched():
                self._switched = event
            case GenerationFinished():
                self._finished = event

    @property
    def may_be_kept(self) -> bool:
        """Whether it is whole, calls no tool, and is of the model that was asked."""
        return self._finished.reason is FinishReason.STOP and not self._tool_calls and self._switched is None

    def kept(self) -> KeptAnswer:
        """What is kept of it."""
        started = self._started
        return KeptAnswer(
            "".join(self._text), "".join(self._reasoning), started.model, started.provider, started.offline
        )

    def whole(self) -> Generation:
        """All of it."""
        switched = self._switched
        return Generation(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(self._tool_calls),
            finish_reason=self._finished.reason,
            usage=self._usage,
            model=self._started.model if switched is None else switched.to_model,
            provider=self._started.provider if switched is None else switched.to_provider,
            attempts=self._finished.attempts,
            cached=self._started.cached,
        )


def _pieces(text: str) -> list[str]:
    return [
        text[start : start + _CHARACTERS_OF_A_KEPT_DELTA] for start in range(0, len(text), _CHARACTERS_OF_A_KEPT_DELTA)
    ]
