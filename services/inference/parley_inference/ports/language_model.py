"""Who writes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from parley_inference.domain.generation import GenerationEvent
from parley_inference.domain.prompt import GenerationRequest


class LanguageModel(Protocol):
    """Generates text with the models of one provider. Wrappers (traced, limited, …) have the same shape."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Answers `request.model`, named as the provider names it.

        Yields GenerationStarted first and GenerationFinished last, tool calls whole, and TokenUsage only when the provider gave
        figures. Text that arrived together is one event, and no event's text is longer than MOST_CHARACTERS_OF_A_DELTA. It reads on
        only when it is asked for the next event. Closing the generator closes the provider's connection.

        With a `response_schema` it does what it can that the answer is a JSON document that satisfies it; nobody relies on it.

        Raises ModelNotFoundError, ModelNotCapableError, GenerationTooLongError and ProviderError.
        """
        ...


MOST_CHARACTERS_OF_A_DELTA = 65_536
"""So that one event always fits into one message of gRPC."""
