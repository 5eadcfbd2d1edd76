"""What a model answers, as events in the order in which they happen, and what it costs in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from parley_inference.domain.errors import InferenceError, ProviderError
from parley_inference.domain.prices import TOKENS_OF_A_PRICE, TokenPrice
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
    cached: bool = False
    """Whether the answer was kept from an earlier request. No adapter sets it."""


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
    """Of `input_tokens`, those that the provider had cached."""
    reasoning_tokens: int = 0
    """Of `output_tokens`."""
    estimated: bool = False
    cache_write_input_tokens: int = 0
    """Of `input_tokens`, those that the provider put into its cache."""

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """What both took together; at most what the contract's numbers hold, whatever providers say."""
        return TokenUsage(
            input_tokens=min(self.input_tokens + other.input_tokens, MOST_TOKENS),
            output_tokens=min(self.output_tokens + other.output_tokens, MOST_TOKENS),
            cached_input_tokens=min(self.cached_input_tokens + other.cached_input_tokens, MOST_TOKENS),
            reasoning_tokens=min(self.reasoning_tokens + other.reasoning_tokens, MOST_TOKENS),
            estimated=self.estimated or other.estimated,
            cache_write_input_tokens=min(self.cache_write_input_tokens + other.cache_write_input_tokens, MOST_TOKENS),
        )

    def cost_usd_micros(self, price: TokenPrice) -> int:
        """What they cost, in millionths of a US dollar, rounded up."""
        cached = min(self.cached_input_tokens, self.input_tokens)
        written = min(self.cache_write_input_tokens, self.input_tokens - cached)
        cost = (
            (self.input_tokens - cached - written) * price.input_usd_micros
            + cached * price.cached_input_usd_micros
            + written * price.cache_write_input_usd_micros
            + self.output_tokens * price.output_usd_micros
        )
        return -(-cost // TOKENS_OF_A_PRICE)


NOTHING_USED = TokenUsage(0, 0)


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
class GenerationAttempt:
    """What one model did for a generation. No adapter makes one."""

    model: str
    """As its provider names it."""
    provider: str
    usage: TokenUsage
    """Of this attempt alone."""
    cost_usd_micros: int | None
    """Millionths of a US dollar, rounded up; None when the price is not known."""
    time_to_first_token_seconds: float
    """From asking the provider to its first text, reasoning or tool call; 0 when nothing came."""
    duration_seconds: float
    """From asking the provider to the end."""
    failure: InferenceError | None = None
    """Why it failed; None when it did not."""

    @property
    def output_tokens_per_second(self) -> float:
        """Tokens written for each second after the first token; 0 when fewer than two came, or all at once."""
        writing = self.duration_seconds - self.time_to_first_token_seconds
        return (self.usage.output_tokens - 1) / writing if self.usage.output_tokens > 1 and writing > 0 else 0.0


@dataclass(frozen=True, slots=True)
class GenerationFinished:
    """The model is done. Last."""

    reason: FinishReason
    attempts: tuple[GenerationAttempt, ...] = ()
    """What each model did, in their order; none for an answer that was kept. No adapter sets them."""


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
    attempts: tuple[GenerationAttempt, ...] = ()
    """What each model did, in their order; none for an answer that was kept."""
    cached: bool = False
    """Whether it was kept from an earlier request."""


def estimated_tokens(characters: int) -> int:
    """Tokens of so many characters, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)
