"""A language model with a span and a few metrics for each of its calls, in the words of OpenTelemetry's GenAI conventions.

One span per call, never one per token; it keeps figures of the answer and none of its words.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from opentelemetry.trace import Span, SpanKind
from parley_shared.telemetry import span

from parley_inference.adapters.generation_metrics import CHAT, CallMetrics
from parley_inference.domain.generation import (
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.prompt import GenerationRequest
from parley_inference.domain.provider_traffic import ProviderTraffic
from parley_inference.ports.language_model import LanguageModel


class TracedLanguageModel:
    """Wraps the models of one provider."""

    def __init__(self, model: LanguageModel, provider: str, traffic: ProviderTraffic | None = None) -> None:
        """`traffic` is the provider's own account of its calls."""
        self._model = model
        self._provider = provider
        self._traffic = traffic or ProviderTraffic()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """As the wrapped one; see the port."""
        with (
            span(f"chat {request.model}", _asked(request, self._provider), kind=SpanKind.CLIENT) as opened,
            CallMetrics(CHAT, self._provider, request.model, self._traffic) as metrics,
        ):
            started = time.perf_counter()
            waits_for_first = True
            async with aclosing(self._model.generate(request)) as events:
                async for event in events:
                    if waits_for_first and isinstance(event, (TextDelta, ReasoningDelta)):
                        waits_for_first = False
                        seconds = time.perf_counter() - started
                        opened.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
                        metrics.begun(seconds)
                    elif not isinstance(event, (TextDelta, ReasoningDelta)):
                        _record(opened, event)
                        if isinstance(event, TokenUsage):
                            metrics.use(event.input_tokens, event.output_tokens)
                    yield event


def _asked(request: GenerationRequest, provider: str) -> dict[str, str | int | float | bool]:
    asked: dict[str, str | int | float | bool | None] = {
        "gen_ai.operation.name": CHAT,
        "gen_ai.provider.name": provider,
        # What provider.name was called before; tools that are not yet up to date read this.
        "gen_ai.system": provider,
        "gen_ai.request.model": request.model,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": request.sampling.max_output_tokens,
        "gen_ai.request.temperature": request.sampling.temperature,
        "gen_ai.request.top_p": request.sampling.top_p,
        "gen_ai.request.seed": request.sampling.seed,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _record(opened: Span, event: GenerationEvent) -> None:
    match event:
        case GenerationStarted():
            opened.set_attribute("gen_ai.response.model", event.model)
        case TokenUsage():
            opened.set_attributes(
                {
                    "gen_ai.usage.input_tokens": event.input_tokens,
                    "gen_ai.usage.output_tokens": event.output_tokens,
                    "gen_ai.usage.cache_read.input_tokens": event.cached_input_tokens,
                    "gen_ai.usage.cache_creation.input_tokens": event.cache_write_input_tokens,
                    "gen_ai.usage.reasoning.output_tokens": event.reasoning_tokens,
                }
            )
        case GenerationFinished():
            opened.set_attribute("gen_ai.response.finish_reasons", [event.reason.value])
        case _:
            pass
