"""What a model answers, as events in the order in which they happen, and what it costs in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from parley_inference.domain.errors import ProviderError
from parley_inference.domain.prices import TokenPrice
from parley_inference.domain.prompt import ToolCall

CHARACTERS_PER_TOKEN = 4
"""The rule of thumb by which tokens are estimated. Real tokenizers give 3 to 5 for European languages."""

MOST_TOKENS = 2**31 - 1


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
    price: TokenPrice | None = None
    """What its tokens cost; None when that is not known. No adapter sets it."""


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
        """What both took together; at most what the contract's numbers hold, whatever providers say."""
        return TokenUsage(
            input_tokens=min(self.input_tokens + other.input_tokens, MOST_TOKENS),
            output_tokens=min(self.output_tokens + other.output_tokens, MOST_TOKENS),
            cached_input_tokens=min(self.cached_input_tokens + other.cached_input_tokens, MOST_TOKENS),
            reasoning_tokens=min(self.reasoning_tokens + other.reasoning_tokens, MOST_TOKENS),
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
    price: TokenPrice | None = None
    """Of the model that goes on; None when it is not known."""


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
