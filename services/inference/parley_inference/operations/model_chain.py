"""The models that write an answer: the one that was asked, and when it fails, those that go on. Keeps the bill, however it ends.

Not what the answer has to be (structured_answers.py), and not whether one is kept already (generations.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from parley_inference.domain.errors import (
    InferenceError,
    ModelNotCapableError,
    PromptTooLongError,
    ProviderError,
    is_passing,
)
from parley_inference.domain.generation import (
    NOTHING_USED,
    FinishReason,
    GenerationAttempt,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ProviderSwitched,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    estimated_tokens,
)
from parley_inference.domain.model_families import is_blind
from parley_inference.domain.models import Capability, Model
from parley_inference.domain.prices import TokenPrice
from parley_inference.domain.prompt import GenerationRequest, Sampling, ToolCall, characters_of, has_images
from parley_inference.domain.prompt_window import check_fits, fill_in_figures
from parley_inference.operations.models import Models

_logger = logging.getLogger(__name__)

MOST_CHARACTERS = 1_000_000
"""Of one answer, what it had before included. Some models and servers never stop by themselves."""


class Bill:
    """What the models of one generation did and used, in their order."""

    def __init__(self) -> None:
        self.attempts: list[GenerationAttempt] = []
        self.spent = NOTHING_USED
        """By all of them together."""
        self.last_writer: Model | None = None
        """Who did the last of them."""

    def add(self, attempt: GenerationAttempt, model: Model) -> None:
        """Adds one that is over."""
        self.attempts.append(attempt)
        self.spent += attempt.usage
        self.last_writer = model

    def fail_last(self, failure: InferenceError) -> None:
        """Says that what the last one wrote was of no use."""
        self.attempts[-1] = replace(self.attempts[-1], failure=failure)


class ModelChain:
    """Lets models write, one after the other when one fails."""

    def __init__(
        self,
        models: Models,
        *,
        max_characters: int = MOST_CHARACTERS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._models = models
        self._max_characters = max_characters
        self._clock = clock

    async def write(
        self, request: GenerationRequest, bill: Bill, *, first: Model | None = None
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer: GenerationStarted, deltas and tool calls, TokenUsage at least once, GenerationFinished; and
        ProviderSwitched where the next model of the chain goes on. `first` is asked instead of the one that the request names.

        An error comes after a TokenUsage when anything was used, and is that of the last model that took the request. Nothing runs
        ahead: what the provider sends while the caller is busy waits in the socket's buffer, arrives in one read, and leaves as one
        event. An answer that grows past its most characters is cut there and ends with LENGTH. With a schema the text is of no use
        until it is whole, so there the next model begins anew. Raises InferenceError.
        """
        fallbacks = self._models.fallbacks_of(request.model)
        answer = _Answer(
            request, self._max_characters, bill, goes_on=bool(fallbacks) and request.response_schema is None
        )
        tried: set[tuple[str, str]] = set()
        for place, name in enumerate((request.model, *fallbacks)):
            writer = name
            try:
                model = first if first and not place else await self._models.resolve(name, Capability.GENERATE)
                if (model.provider, model.name) in tried:
                    continue
                tried.add((model.provider, model.name))
                writer = model.name
                _check_capable(model, request)
                async with aclosing(self._attempt(answer, model)) as events:
                    async for event in events:
                        yield event
            except InferenceError as error:
                if isinstance(error, PromptTooLongError):
                    fill_in_figures(error, request, model)
                counts = place == 0 or answer.is_being_written
                # What was used before the error is used; a provider that refused at the door used nothing.
                if (usage := await answer.end_attempt(error)) is not None:
                    yield usage
                if counts and not (isinstance(error, ProviderError) and is_passing(error)):
                    raise
                if fallbacks:
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
        price = self._models.price_of(model.provider, model.name)
        meter = answer.begin_attempt(_Meter(model, price, self._clock))
        request = answer.request_of(meter)
        check_fits(request, model)
        finished: GenerationFinished | None = None
        async with aclosing(provider.language_model.generate(request)) as events:
            async for event in events:
                if type(event) is TextDelta or type(event) is ReasoningDelta:
                    meter.hear(len(event.text))
                    if (fitting := answer.fit(event)) is not None:
                        yield fitting
                    if answer.is_full:
                        break
                elif type(event) is GenerationStarted:
                    meter.has_started = True
                    for told in answer.started(replace(event, price=price)):
                        yield told
                elif type(event) is TokenUsage:
                    meter.figures = event
                    yield answer.bill.spent + event
                elif type(event) is GenerationFinished:
                    finished = event
                else:
                    if type(event) is ToolCall:
                        answer.can_switch = False
                        meter.hear(len(event.name) + len(event.arguments_json))
                    yield event
        if finished is None and not answer.is_full:
            return
        # When it was cut, the provider's connection is closed, and nobody waits for what it would have counted.
        if (usage := await answer.end_attempt()) is not None:
            yield usage
        reason = FinishReason.LENGTH if finished is None else finished.reason
        yield GenerationFinished(reason, tuple(answer.bill.attempts))


@dataclass(frozen=True, slots=True)
class Failure:
    """How a model failed that another may replace."""

    model: str
    error: ProviderError


class _Answer:
    """An answer while models write it, one after the other when one fails."""

    def __init__(self, request: GenerationRequest, max_characters: int, bill: Bill, *, goes_on: bool) -> None:
        self._request = request
        self._most = max(0, max_characters - len(request.answer_so_far))
        self._room = self._most
        """How many characters may follow, text and reasoning."""
        self.is_full = False
        """Whether there was more than had room."""
        self._goes_on = goes_on
        """Whether the next model goes on from the text before it; else it begins anew."""
        self._parts: list[str] = []
        self._characters = 0
        self._meter: _Meter | None = None
        self._is_announced = False
        self.failure: Failure | None = None
        """Of the model that the caller believes to write; None while it writes."""
        self.bill = bill
        self.can_switch = True
        """False once a tool was called: another model would call it again, or not know of it."""

    def begin_attempt(self, meter: _Meter) -> _Meter:
        """The next model writes."""
        if not self._goes_on:
            self._room = self._most
        self._meter = meter
        return meter

    def request_of(self, meter: _Meter) -> GenerationRequest:
        """What the model is asked: what follows all that there is."""
        meter.request = replace(self._request, model=meter.model.name)
        if self._parts:
            meter.request = replace(
                meter.request,
                answer_so_far=self._request.answer_so_far + "".join(self._parts),
                sampling=_what_is_left(self._request.sampling, estimated_tokens(self._characters)),
            )
        return meter.request

    def fit(self, event: TextDelta | ReasoningDelta) -> TextDelta | ReasoningDelta | None:
        """As much of it as has room; text is kept for the next model to go on from. None when there is no room at all."""
        length = len(event.text)
        if length > self._room:
            self.is_full = True
            return type(event)(event.text[: self._room]) if self._room else None
        self._room -= length
        if self._goes_on and type(event) is TextDelta:
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

    async def end_attempt(self, failure: InferenceError | None = None) -> TokenUsage | None:
        """Puts what an attempt took to the bill; None when it took nothing, or nothing that the caller has not been told."""
        meter, self._meter = self._meter, None
        if meter is None:
            return None
        usage = NOTHING_USED if not meter.has_started else meter.figures or await meter.estimate()
        if self.is_full and failure is None:
            usage = await meter.estimate()
        self.bill.add(meter.attempt(usage, failure), meter.model)
        is_told = meter.figures is usage or not meter.has_started
        return None if is_told else self.bill.spent


class _Meter:
    """What one model is asked and what it used. Counts characters, which costs nothing per token, where its provider gives no figures."""

    def __init__(self, model: Model, price: TokenPrice | None, clock: Callable[[], float]) -> None:
        self.model = model
        self.request = GenerationRequest(())
        self.has_started = False
        self.figures: TokenUsage | None = None
        self._price = price
        self._characters = 0
        self._clock = clock
        self._asked_at = clock()
        self._first_at: float | None = None

    def hear(self, characters: int) -> None:
        """The model wrote so much."""
        self._characters += characters
        if self._first_at is None:
            self._first_at = self._clock()

    async def estimate(self) -> TokenUsage:
        """What it used, by the rule of thumb. Schemas have to be written out to be counted, which the event loop need not wait for."""
        has_schemas = self.request.tools or self.request.response_schema is not None
        reads = await asyncio.to_thread(characters_of, self.request) if has_schemas else characters_of(self.request)
        return TokenUsage(estimated_tokens(reads), estimated_tokens(self._characters), estimated=True)

    def attempt(self, usage: TokenUsage, failure: InferenceError | None) -> GenerationAttempt:
        """What there is to tell of it, now that it is over."""
        return GenerationAttempt(
            model=self.model.name,
            provider=self.model.provider,
            usage=usage,
            cost_usd_micros=None if self._price is None else usage.cost_usd_micros(self._price),
            time_to_first_token_seconds=0.0 if self._first_at is None else self._first_at - self._asked_at,
            duration_seconds=self._clock() - self._asked_at,
            failure=failure,
        )


def _check_capable(model: Model, request: GenerationRequest) -> None:
    """Raises ModelNotCapableError for what a model is known not to do; what is not known is left to its provider."""
    if has_images(request) and is_blind(model):
        raise ModelNotCapableError(model.name, Capability.IMAGES.value)


def _what_is_left(sampling: Sampling, written_tokens: int) -> Sampling:
    """The same without the tokens of the limit that are used up."""
    if sampling.max_output_tokens is None:
        return sampling
    return replace(sampling, max_output_tokens=max(1, sampling.max_output_tokens - written_tokens))
