"""Generating: find the model, let it write, let another go on when it fails, and say what they used, however it ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from parley_inference.domain.errors import InferenceError, ProviderError, is_passing
from parley_inference.domain.generation import (
    FinishReason,
    Generation,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ProviderSwitched,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    estimated_tokens,
)
from parley_inference.domain.models import Capability, Model
from parley_inference.domain.prompt import GenerationRequest, Sampling, ToolCall, characters_of
from parley_inference.operations.models import Models

_logger = logging.getLogger(__name__)

NOTHING_USED = TokenUsage(0, 0)
MOST_CHARACTERS = 1_000_000
"""Of one answer, what it had before included. Some models and servers never stop by themselves."""


class Generations:
    """The use cases of generating. Keeps nothing between calls."""

    def __init__(self, models: Models, fallbacks: Sequence[str] = (), *, max_characters: int = MOST_CHARACTERS) -> None:
        self._models = models
        self._max_characters = max_characters
        self._fallbacks = fallbacks
        """Names of the models that go on, in this order, when the one that was asked fails."""

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer: GenerationStarted, deltas and tool calls, TokenUsage at least once, GenerationFinished; and
        ProviderSwitched where the next model of the chain goes on.

        An error comes after a TokenUsage when anything was used, and is that of the last model that took the request. Nothing runs
        ahead: what the provider sends while the caller is busy waits in the socket's buffer, arrives in one read, and leaves as one
        event. An answer that grows past its most characters is cut there and ends with LENGTH. Raises InferenceError.
        """
        answer = _Answer(request, self._max_characters, keeps_text=bool(self._fallbacks))
        tried: set[tuple[str, str]] = set()
        for place, name in enumerate((request.model, *self._fallbacks)):
            writer = name
            try:
                model = await self._models.resolve(name, Capability.GENERATE)
                if (model.provider, model.name) in tried:
                    continue
                tried.add((model.provider, model.name))
                writer = model.name
                async with aclosing(self._attempt(answer, model)) as events:
                    async for event in events:
                        yield event
            except InferenceError as error:
                counts = place == 0 or answer.is_being_written
                # What was used before the error is used; a provider that refused at the door used nothing.
                if (usage := answer.end_attempt()) is not None:
                    yield usage
                if counts and not (isinstance(error, ProviderError) and is_passing(error)):
                    raise
                if self._fallbacks:
                    # A fallback that does not even begin is passed over; its operator finds out here.
                    _logger.warning("the model %r failed, the chain goes on: %s", writer, error)
                if counts and isinstance(error, ProviderError):
                    answer.failure = Failure(writer, error)
                if not answer.can_switch:
                    break
            else:
                return
        assert answer.failure is not None  # noqa: S101 - for the type checker: the first model returns, raises or fails
        raise answer.failure.error

    async def _attempt(self, answer: _Answer, model: Model) -> AsyncGenerator[GenerationEvent, None]:
        """Lets one model write the answer, or go on with it. Its first event reaches the caller when there is none before it."""
        provider = self._models.provider(model.provider)
        meter = answer.begin_attempt(model.name)
        async with aclosing(provider.language_model.generate(meter.request)) as events:
            async for event in events:
                if type(event) is TextDelta or type(event) is ReasoningDelta:
                    meter.characters += len(event.text)
                    if (fitting := answer.fit(event)) is not None:
                        yield fitting
                    if answer.is_full:
                        break
                elif type(event) is GenerationStarted:
                    meter.has_started = True
                    for told in answer.started(
                        replace(event, price=self._models.price_of(event.provider, event.model))
                    ):
                        yield told
                elif type(event) is TokenUsage:
                    meter.figures = event
                    yield answer.spent + event
                elif type(event) is GenerationFinished:
                    if meter.figures is None:
                        yield answer.spent + meter.estimate()
                    yield event
                else:
                    if type(event) is ToolCall:
                        answer.can_switch = False
                        meter.characters += len(event.name) + len(event.arguments_json)
                    yield event
        if answer.is_full:
            # The provider's connection is closed, and nobody waits for what it would have counted.
            yield answer.spent + meter.estimate()
            yield GenerationFinished(FinishReason.LENGTH)

    async def whole(self, request: GenerationRequest) -> Generation:
        """Generates and gathers the answer. Raises InferenceError."""
        text: list[str] = []
        reasoning: list[str] = []
        tool_calls: list[ToolCall] = []
        model = provider = ""
        usage = TokenUsage(0, 0, estimated=True)
        reason = FinishReason.STOP
        async with aclosing(self.stream(request)) as events:
            async for event in events:
                match event:
                    case TextDelta():
                        text.append(event.text)
                    case ReasoningDelta():
                        reasoning.append(event.text)
                    case ToolCall():
                        tool_calls.append(event)
                    case TokenUsage():
                        usage = event
                    case GenerationStarted():
                        model, provider = event.model, event.provider
                    case ProviderSwitched():
                        model, provider = event.to_model, event.to_provider
                    case GenerationFinished():
                        reason = event.reason
        return Generation(
            text="".join(text),
            reasoning="".join(reasoning),
            tool_calls=tuple(tool_calls),
            finish_reason=reason,
            usage=usage,
            model=model,
            provider=provider,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """How a model failed that another may replace."""

    model: str
    error: ProviderError


class _Answer:
    """An answer while models write it, one after the other when one fails."""

    def __init__(self, request: GenerationRequest, max_characters: int, *, keeps_text: bool) -> None:
        self._request = request
        self._room = max(0, max_characters - len(request.answer_so_far))
        """How many characters may follow, text and reasoning."""
        self.is_full = False
        """Whether there was more than had room."""
        self._keeps_text = keeps_text
        self._parts: list[str] = []
        self._characters = 0
        self._meter: _Meter | None = None
        self._is_announced = False
        self.failure: Failure | None = None
        """Of the model that the caller believes to write; None while it writes."""
        self.spent = NOTHING_USED
        """What the models before took."""
        self.can_switch = True
        """False once a tool was called: another model would call it again, or not know of it."""

    def begin_attempt(self, model: str) -> _Meter:
        """The next model's request: what follows all that there is."""
        request = replace(self._request, model=model)
        if self._parts:
            request = replace(
                request,
                answer_so_far=self._request.answer_so_far + "".join(self._parts),
                sampling=_what_is_left(request.sampling, estimated_tokens(self._characters)),
            )
        self._meter = _Meter(request)
        return self._meter

    def fit(self, event: TextDelta | ReasoningDelta) -> TextDelta | ReasoningDelta | None:
        """As much of it as has room; text is kept for the next model to go on from. None when there is no room at all."""
        length = len(event.text)
        if length > self._room:
            self.is_full = True
            return type(event)(event.text[: self._room]) if self._room else None
        self._room -= length
        if self._keeps_text and type(event) is TextDelta:
            self._parts.append(event.text)
            self._characters += length
        return event

    def started(self, event: GenerationStarted) -> list[GenerationEvent]:
        """What the caller is told when a model has taken the request."""
        told: list[GenerationEvent] = [] if self._is_announced else [event]
        if self.failure is not None:
            error = self.failure.error
            told.append(
                ProviderSwitched(self.failure.model, error.provider, event.model, event.provider, error, event.price)
            )
            self.failure = None
        self._is_announced = True
        return told

    @property
    def is_being_written(self) -> bool:
        """Whether a model has taken the request, of the attempt that runs."""
        return self._meter is not None and self._meter.has_started

    def end_attempt(self) -> TokenUsage | None:
        """Puts what a failed attempt took to the account; None when it took nothing, or nothing that the caller has not been told."""
        meter, self._meter = self._meter, None
        if meter is None or not meter.has_started:
            return None
        self.spent += meter.figures or meter.estimate()
        return None if meter.figures is not None else self.spent


class _Meter:
    """What one model is asked and what it used. Counts characters, which costs nothing per token, where its provider gives no figures."""

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.characters = 0
        self.has_started = False
        self.figures: TokenUsage | None = None

    def estimate(self) -> TokenUsage:
        return TokenUsage(
            input_tokens=estimated_tokens(characters_of(self.request)),
            output_tokens=estimated_tokens(self.characters),
            estimated=True,
        )


def _what_is_left(sampling: Sampling, written_tokens: int) -> Sampling:
    """The same without the tokens of the limit that are used up."""
    if sampling.max_output_tokens is None:
        return sampling
    return replace(sampling, max_output_tokens=max(1, sampling.max_output_tokens - written_tokens))
