"""What a model is asked: messages, passages, tools, and how to choose tokens. Not what it answers: that is generation.py's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who speaks. The values are the words that OpenAI-compatible providers use."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, by the model."""

    tool_call_id: str
    name: str
    arguments_json: str
    """A JSON object, as the model wrote it: nobody has checked it."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Only of the assistant."""
    tool_call_id: str = ""
    """Of a tool's result: the call that it answers."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that the answer may rest on, and that it cites by its number."""

    number: int
    title: str
    text: str
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call."""

    name: str
    description: str
    parameters_schema: Mapping[str, Any]
    """JSON Schema of its arguments, an object; empty when it takes none."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens. None leaves it to the provider."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """All that a model is asked."""

    messages: tuple[PromptMessage, ...]
    """Oldest first; system messages only at the beginning; the last is the user's or a tool's."""
    model: str = ""
    """What the caller wrote on its way in; the provider's own name for it on its way to an adapter."""
    passages: tuple[Passage, ...] = ()
    tools: tuple[Tool, ...] = ()
    sampling: Sampling = Sampling()
    answer_so_far: str = ""
    """What was written of the answer before it was interrupted: only what follows it is generated."""


def characters_of(request: GenerationRequest) -> int:
    """How much there is to read: what the estimate of input tokens rests on where a provider gives no figure."""
    messages = sum(
        len(message.text) + sum(len(call.name) + len(call.arguments_json) for call in message.tool_calls)
        for message in request.messages
    )
    passages = sum(len(passage.title) + len(passage.heading) + len(passage.text) for passage in request.passages)
    tools = sum(len(tool.name) + len(tool.description) + len(str(tool.parameters_schema)) for tool in request.tools)
    return messages + passages + tools + len(request.answer_so_far)
