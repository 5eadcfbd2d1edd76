"""What a model answers, as events in the order in which they happen, and what it costs in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from parley_inference.domain.errors import ProviderError
from parley_inference.domain.prompt import ToolCall

CHARACTERS_PER_TOKEN = 4
"""The rule of thumb by which tokens are estimated. Real tokenizers give 3 to 5 for European languages."""


class FinishReason(StrEnum):
    """Why a generation ended by itself."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class GenerationStarted:
    """A model has taken the request. First."""

    model: str
    """As its provider names it."""
    provider: str
    offline: bool = False


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text of the answer. Not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """Text of the reasoning. Not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens used so far. Replaces the figures before."""

    input_tokens: int
    output_tokens: int
    """Reasoning included."""
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """What both took together."""
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            estimated=self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class ProviderSwitched:
    """A model failed, and another goes on from the text until now. No adapter yields it."""

    from_model: str
    from_provider: str
    to_model: str
    to_provider: str
    failure: ProviderError
    """Why the first failed."""


@dataclass(frozen=True, slots=True)
class GenerationFinished:
    """The model is done. Last."""

    reason: FinishReason


GenerationEvent = (
    GenerationStarted | TextDelta | ReasoningDelta | ToolCall | TokenUsage | ProviderSwitched | GenerationFinished
)


@dataclass(frozen=True, slots=True)
class Generation:
    """A whole answer."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    usage: TokenUsage
    model: str
    """The one that finished."""
    provider: str


def estimated_tokens(characters: int) -> int:
    """Tokens of so many characters, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)
