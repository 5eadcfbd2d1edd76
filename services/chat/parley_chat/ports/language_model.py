"""Who writes answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.conversation import Citation
from parley_chat.domain.prompt import PromptLine
from parley_chat.domain.tool_uses import ToolRound
from parley_chat.ports.toolbox import ToolDefinition


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What a model is asked."""

    user_id: str
    instructions: str
    lines: tuple[PromptLine, ...]
    """Oldest first; the last is the user's."""
    passages: tuple[Citation, ...]
    model: str
    """The name or alias; empty for the default."""
    answer_so_far: str = ""
    """What was written before the writing was interrupted; only what follows is generated."""
    rounds: tuple[ToolRound, ...] = ()
    """What the answer did with tools until now."""
    tools: tuple[ToolDefinition, ...] = ()
    """What it may use from here on."""


class GenerationEnd(StrEnum):
    """Why a generation ended by itself."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    """The model waits for the results of the tools it called."""
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class GenerationStarted:
    """A model has taken the request."""

    model: str
    offline: bool
    price: TokenPrice | None = None
    """None when it is not known."""


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """Text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class GeneratedReasoning:
    """Text of the reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class GeneratedToolCall:
    """The model calls a tool."""

    tool: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class GenerationSwitched:
    """A model failed, and another goes on from the text until now."""

    from_model: str
    """Empty when its provider could not even be asked which it is."""
    to_model: str
    reason: str
    """The name of the reason in the contract of errors."""
    price: TokenPrice | None = None
    """Of the model that goes on; None when it is not known."""


@dataclass(frozen=True, slots=True)
class GenerationFinished:
    """The model is done."""

    end: GenerationEnd


GenerationEvent = (
    GenerationStarted
    | GeneratedText
    | GeneratedReasoning
    | GeneratedToolCall
    | TokensUsed
    | GenerationSwitched
    | GenerationFinished
)


class LanguageModel(Protocol):
    """Generates text."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer; closing the iterator closes the provider's connection. Raises GenerationError when it fails or breaks off."""
        ...
