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


class OfflineSkill(StrEnum):
    """What the built-in model, which cannot follow instructions, does with a request. Other models are not told."""

    ANSWER = "answer"
    """Quotes the passages that answer the last question."""
    SUMMARY = "summary"
    """Picks the sentences of the input that say the most."""
    PLAN = "plan"
    """Numbers what the input wants done."""
    TABLE = "table"
    """Describes the columns of a table in the input."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, by the model."""

    tool_call_id: str
    name: str
    arguments_json: str
    """A JSON object, as the model wrote it: nobody has checked it."""


@dataclass(frozen=True, slots=True)
class PromptImage:
    """A picture that belongs to a message."""

    media_type: str
    """`image/png`, `image/jpeg`, `image/webp` or `image/gif`."""
    data: bytes
    """The file."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Only of the assistant."""
    tool_call_id: str = ""
    """Of a tool's result: the call that it answers."""
    images: tuple[PromptImage, ...] = ()
    """Only of the user."""


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
    response_schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer, which is then one JSON document; None for free text. A model that does not keep to it is no error here."""
    cache_seconds: int = 0
    """For how long an answer to the same request may be given again; 0 for not at all."""
    agent_id: str = ""
    """The agent that answers; empty when none was named. operations/agents.py puts its instructions among the messages."""
    offline_skill: OfflineSkill = OfflineSkill.ANSWER
    """What the built-in model does with it."""


CHARACTERS_OF_AN_IMAGE = 4_000
"""What a picture counts in an estimate: providers take 85 to 1,600 tokens for one, by its size."""


def has_images(request: GenerationRequest) -> bool:
    """Whether there is anything to see."""
    return any(message.images for message in request.messages)


def characters_of(request: GenerationRequest) -> int:
    """How much there is to read: what the estimate of input tokens rests on where a provider gives no figure."""
    messages = sum(
        len(message.text)
        + sum(len(call.name) + len(call.arguments_json) for call in message.tool_calls)
        + len(message.images) * CHARACTERS_OF_AN_IMAGE
        for message in request.messages
    )
    passages = sum(len(passage.title) + len(passage.heading) + len(passage.text) for passage in request.passages)
    tools = sum(len(tool.name) + len(tool.description) + len(str(tool.parameters_schema)) for tool in request.tools)
    schema = len(str(request.response_schema)) if request.response_schema is not None else 0
    return messages + passages + tools + schema + len(request.answer_so_far)
