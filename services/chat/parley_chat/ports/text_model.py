"""Who writes texts that belong to no session. Answers of turns, which can be gone on with, are language_model.py's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.conversation import Citation
from parley_chat.domain.generation import Sampling
from parley_chat.domain.prompt import PromptLine
from parley_chat.domain.tool_uses import ToolRound
from parley_chat.ports.toolbox import ToolDefinition


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What a model is asked to write."""

    user_id: str
    lines: tuple[PromptLine, ...]
    """Oldest first; the last is the user's."""
    instructions: str = ""
    """What comes before them; nothing when empty."""
    model: str = ""
    """The name or alias; empty for the agent's, else the default."""
    passages: tuple[Citation, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    response_schema: Mapping[str, Any] | None = None
    """The JSON Schema that the text must satisfy; None for free text."""
    cache_seconds: int = 0
    """For how long the answer may be given again; 0 for never."""
    agent_id: str = ""
    """The agent that answers; none when empty."""
    rounds: tuple[ToolRound, ...] = ()
    """What was done with tools since the user's line."""
    tools: tuple[ToolDefinition, ...] = ()
    """What it may call from here on."""
    session_id: str = ""
    """The session whose usage it counts to; none when empty. The model is not told."""
    project_id: str = ""
    """The project whose usage it counts to; none when empty."""


class TextEnd(StrEnum):
    """Why a text ended by itself."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class TextStarted:
    """A model has taken the request."""

    model: str
    offline: bool
    cached: bool
    """Whether the text was kept from an earlier call."""
    price: TokenPrice | None = None
    """None when it is not known."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text to append."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """Text to append to the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class TextSwitched:
    """A model failed, and another goes on from the text until now."""

    from_model: str
    """Empty when its provider could not even be asked which it is."""
    to_model: str
    reason: str
    """The name of the ErrorReason."""
    price: TokenPrice | None = None
    """Of the model that goes on; None when it is not known."""


@dataclass(frozen=True, slots=True)
class TextToolCall:
    """The model calls a tool, and ends to wait for its result."""

    tool: str
    arguments_json: str
    """As the model wrote it: nobody has checked it."""


@dataclass(frozen=True, slots=True)
class TextEnded:
    """The model is done."""

    end: TextEnd


TextModelEvent = TextStarted | TextPiece | ReasoningPiece | TokensUsed | TextSwitched | TextToolCall | TextEnded


class TextModel(Protocol):
    """Writes texts."""

    def write(self, request: TextRequest, *, within_seconds: float) -> AsyncGenerator[TextModelEvent, None]:
        """Streams a text; closing the iterator closes the provider's connection.

        Raises GenerationError when it fails, breaks off or takes longer than it may.
        """
        ...
