"""The body of a chat completion's request, as OpenAI-compatible servers read it. Sends nothing."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from parley_inference.adapters.json_schemas import is_strict
from parley_inference.adapters.system_text import system_text
from parley_inference.domain.prompt import GenerationRequest, PromptImage, PromptMessage, Role, Tool


class Prefill(StrEnum):
    """How a server is told to go on with the beginning of an answer, which is the last message of the request."""

    NONE = "none"
    """Not at all: it would answer it."""
    LAST = "last"
    """By its being the last: Ollama, LM Studio, llama.cpp."""
    PREFIX = "prefix"
    """By `prefix` in the message: Mistral, DeepSeek's beta."""
    CONTINUE = "continue"
    """By `continue_final_message` in the request: vLLM, llama.cpp."""


class SchemaForm(StrEnum):
    """How a server is told of the schema of an answer."""

    NATIVE = "native"
    """By `response_format`: OpenAI's own keep to it."""
    BOTH = "both"
    """By that, and in words: many servers keep to it (Ollama, vLLM, llama.cpp, LM Studio), and others pass over it in silence."""
    WORDS = "words"
    """In words."""


_PREFIX_HOSTS = {"api.mistral.ai": "", "api.deepseek.com": "/beta"}
"""Hosts that document `prefix`, and how the path has to begin for it."""


def prefill_of(base_url: str) -> Prefill:
    """How the server at an address goes on with an answer; NONE where that is not known."""
    parts = urlsplit(base_url)
    path = _PREFIX_HOSTS.get(parts.hostname or "")
    return Prefill.PREFIX if path is not None and parts.path.startswith(path) else Prefill.NONE


@dataclass(slots=True)
class Dialect:
    """Where compatible servers differ from OpenAI's own. Learnt from what a server refuses."""

    limit_parameter: str
    """`max_completion_tokens`, which OpenAI's reasoning models insist on, or `max_tokens`, the only one that older compatible
    servers know. OpenAI refuses a request with both, and other servers ignore the one that they do not know: the limit would be
    silently lost. So it depends on whose server it is."""
    asks_for_usage: bool = True
    """Whether `stream_options` is sent. Some servers refuse it."""
    prefill: Prefill = Prefill.NONE
    schema_form: SchemaForm = SchemaForm.BOTH

    @classmethod
    def of_host(cls, host: str, prefill: Prefill = Prefill.NONE) -> Dialect:
        """The dialect to begin with."""
        openai = host == "api.openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
        return cls(
            "max_completion_tokens" if openai else "max_tokens",
            prefill=prefill,
            schema_form=SchemaForm.NATIVE if openai else SchemaForm.BOTH,
        )

    def learn(self, refusal: str) -> bool:
        """Changes what the words of a refusal name. Whether anything changed, so that another try makes sense."""
        if "stream_options" in refusal and self.asks_for_usage:
            self.asks_for_usage = False
            return True
        other = "max_tokens" if self.limit_parameter == "max_completion_tokens" else "max_completion_tokens"
        # The refusal of one names the other as what to use instead; "too large" names only the one that was sent.
        if self.limit_parameter in refusal and other in refusal:
            self.limit_parameter = other
            return True
        return False


def body_of(request: GenerationRequest, dialect: Dialect, *, schema_form: SchemaForm | None = None) -> dict[str, Any]:
    """The JSON object to send, streaming. Of `answer_so_far` only a server with prefill is told.

    `schema_form`: how the schema of this request is told, where it is not as the dialect has it.
    """
    form = schema_form or dialect.schema_form
    messages = _messages(request, tells_schema=form is not SchemaForm.NATIVE)
    body: dict[str, Any] = {"model": request.model, "messages": messages, "stream": True}
    if request.response_schema is not None and form is not SchemaForm.WORDS:
        schema = {
            "name": "answer",
            "schema": dict(request.response_schema),
            # What is not of the strict part of JSON Schema is refused when it is called strict, and not kept to when it is not.
            "strict": is_strict(request.response_schema),
        }
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.answer_so_far and dialect.prefill is not Prefill.NONE:
        begun: dict[str, Any] = {"role": "assistant", "content": request.answer_so_far}
        if dialect.prefill is Prefill.PREFIX:
            begun["prefix"] = True
        if dialect.prefill is Prefill.CONTINUE:
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        body["messages"].append(begun)
    if dialect.asks_for_usage:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    sampling = request.sampling
    wanted = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        dialect.limit_parameter: sampling.max_output_tokens,
        "stop": list(sampling.stop_sequences) or None,
        "seed": sampling.seed,
    }
    return body | {name: value for name, value in wanted.items() if value is not None}


def _messages(request: GenerationRequest, *, tells_schema: bool) -> list[dict[str, Any]]:
    system = system_text(request, tells_schema=tells_schema)
    # One system message: the prompt templates of many open models take no second one.
    head: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    return head + [_message(message) for message in request.messages if message.role is not Role.SYSTEM]


def _message(message: PromptMessage) -> dict[str, Any]:
    packed: dict[str, Any] = {"role": message.role.value, "content": message.text}
    if message.images:
        packed["content"] = [{"type": "text", "text": message.text}, *map(_image, message.images)]
    if message.tool_calls:
        packed["content"] = message.text or None
        packed["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_json or "{}"},
            }
            for call in message.tool_calls
        ]
    if message.role is Role.TOOL:
        packed["tool_call_id"] = message.tool_call_id
    return packed


def _image(image: PromptImage) -> dict[str, Any]:
    url = f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Tool) -> dict[str, Any]:
    # An object without properties, because some servers refuse a function without parameters.
    parameters = dict(tool.parameters_schema) or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }
