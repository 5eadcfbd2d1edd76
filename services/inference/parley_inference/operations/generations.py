"""Generating: find the model, let it write, and say what it used, however it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from parley_inference.domain.errors import InferenceError
from parley_inference.domain.generation import (
    FinishReason,
    Generation,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    estimated_tokens,
)
from parley_inference.domain.models import Capability
from parley_inference.domain.prompt import GenerationRequest, ToolCall, characters_of
from parley_inference.operations.models import Models


class Generations:
    """The use cases of generating. Keeps nothing between calls."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer: GenerationStarted, deltas and tool calls, TokenUsage at least once, GenerationFinished.

        An error comes after a TokenUsage when anything was used. Nothing runs ahead: what the provider sends while the caller is
        busy waits in the socket's buffer, arrives in one read, and leaves as one event. Raises InferenceError.
        """
        model = await self._models.resolve(request.model, Capability.GENERATE)
        provider = self._models.provider(model.provider)
        meter = _Meter(request)
        try:
            async with aclosing(provider.language_model.generate(replace(request, model=model.name))) as events:
                async for event in events:
                    if type(event) is TextDelta or type(event) is ReasoningDelta:
                        meter.characters += len(event.text)
                    elif type(event) is GenerationFinished:
                        if not meter.has_figures:
                            yield meter.estimate()
                    else:
                        meter.see(event)
                    yield event
        except InferenceError:
            # What was used before the error is used; a provider that refused at the door used nothing.
            if meter.has_started and not meter.has_figures:
                yield meter.estimate()
            raise

    async def whole(self, request: GenerationRequest) -> Generation:
        """Generates and gathers the answer. Raises InferenceError."""
        text: list[str] = []
        reasoning: list[str] = []
        tool_calls: list[ToolCall] = []
        started = GenerationStarted("", "")
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
                        started = event
                    case GenerationFinished():
                        reason = event.reason
        return Generation(
            text="".join(text),
            reasoning="".join(reasoning),
            tool_calls=tuple(tool_calls),
            finish_reason=reason,
            usage=usage,
            model=started.model,
            provider=started.provider,
        )


class _Meter:
    """Counts what a generation used where its provider does not say. Counts characters, which costs nothing per token."""

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self.characters = 0
        self.has_started = False
        self.has_figures = False

    def see(self, event: GenerationEvent) -> None:
        match event:
            case GenerationStarted():
                self.has_started = True
            case TokenUsage():
                self.has_figures = True
            case ToolCall():
                self.characters += len(event.name) + len(event.arguments_json)
            case _:
                pass

    def estimate(self) -> TokenUsage:
        return TokenUsage(
            input_tokens=estimated_tokens(characters_of(self._request)),
            output_tokens=estimated_tokens(self.characters),
            estimated=True,
        )
