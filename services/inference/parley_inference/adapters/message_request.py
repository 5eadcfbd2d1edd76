"""The body of a request to Anthropic's Messages API. Sends nothing."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from parley_inference.adapters.system_text import system_text
from parley_inference.domain.prompt import (
    GenerationRequest,
    PromptImage,
    PromptMessage,
    Role,
    Sampling,
    Tool,
    ToolCall,
)

_BEGINS_LATER = "(The beginning of the conversation is left out.)"
"""The user's first message where a conversation begins with the assistant's, which the API refuses."""
_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class MessageForm:
    """What of a request is sent to a model: not all of them take all."""

    sampling: bool
    """Whether temperature and the like are sent."""
    schema: bool
    """Whether the schema of the answer is sent for the model to keep to; else it is told in words."""
    thinking_tokens: int = 0
    """How many tokens the model may think first; 0 for none."""


def body_of(request: GenerationRequest, form: MessageForm, *, default_max_tokens: int) -> dict[str, Any]:
    """The JSON object to send, streaming. Text that is only white space is left out everywhere: the API refuses it.

    `answer_so_far` becomes the assistant's last message, without the white space at its end: `hidden_end` says what that was.
    """
    messages = _messages(request)
    if so_far := request.answer_so_far.rstrip():
        messages.append({"role": "assistant", "content": [_text(so_far)]})
    body: dict[str, Any] = {
        "model": request.model,
        # The API insists on a limit.
        "max_tokens": request.sampling.max_output_tokens or default_max_tokens,
        "messages": messages,
        "stream": True,
    }
    if request.response_schema is not None and form.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.response_schema)}}
    if system := system_text(request, tells_schema=not form.schema):
        body["system"] = system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if form.thinking_tokens:
        body["thinking"] = {"type": "enabled", "budget_tokens": form.thinking_tokens}
    if request.sampling.stop_sequences:
        body["stop_sequences"] = list(request.sampling.stop_sequences)
    if form.sampling:
        body |= _sampling(request.sampling)
    return body


def hidden_end(request: GenerationRequest) -> str:
    """The white space at the end of the answer so far, which the model is not shown."""
    return request.answer_so_far[len(request.answer_so_far.rstrip()) :]


def wants_sampling(sampling: Sampling) -> bool:
    """Whether anything is wanted that only the API's older version takes."""
    return sampling.temperature is not None or sampling.top_p is not None


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """One of the two, because several models refuse both together. Temperatures go to 1 here, and to 2 in the contract."""
    if sampling.temperature is not None:
        return {"temperature": min(max(sampling.temperature, 0.0), 1.0)}
    return {} if sampling.top_p is None else {"top_p": sampling.top_p}


def _messages(request: GenerationRequest) -> list[dict[str, Any]]:
    """The conversation, the two sides in turn. Results of tools are the user's, all of one turn in one message."""
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role is Role.SYSTEM:
            continue
        blocks = _blocks(message)
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        if not blocks:
            continue
        if not messages and role == "assistant":
            messages.append({"role": "user", "content": [_text(_BEGINS_LATER)]})
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    return messages


def _blocks(message: PromptMessage) -> list[dict[str, Any]]:
    text = [_text(message.text)] if message.text.strip() else []
    if message.role is Role.TOOL:
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": _id(message.tool_call_id)}
        return [result | {"content": text} if text else result]
    # Pictures before the text that speaks of them: the API's own advice.
    return [*map(_image, message.images), *text, *map(_tool_use, message.tool_calls)]


def _image(image: PromptImage) -> dict[str, Any]:
    data = b64encode(image.data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": data}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": _id(call.tool_call_id), "name": call.name, "input": _input(call.arguments_json)}


def _input(arguments_json: str) -> dict[str, Any]:
    """The arguments as an object. What is none, and only a model can have written it, is kept as text."""
    try:
        arguments = json.loads(arguments_json or "{}")
    except ValueError:
        arguments = arguments_json
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _id(tool_call_id: str) -> str:
    """The id as the API takes it: other providers write theirs with dots and colons."""
    return _NOT_IN_AN_ID.sub("_", tool_call_id)


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", **tool.parameters_schema}
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": schema}
