"""Reads requests of OpenAI's clients: their bounds as the contract states them, and what they become here. Not the rights of the caller.

Every function raises the one INVALID_ARGUMENT that names each field out of its bounds. What only inference can judge, for example
whether a model can read pictures, it refuses itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Value
from parley.openai.v1 import openai_service_pb2 as pb
from parley_shared.validation import Violations

from parley_chat.domain.generation import Sampling
from parley_chat.ports.text_model import TextRequest
from parley_chat.ports.toolbox import ToolDefinition
from parley_chat.servicers.generation_validation import (
    MODEL_MOST,
    OUTPUT_TOKENS_MOST,
    TEMPERATURE_MOST,
    json_schema,
)
from parley_chat.servicers.openai_conversation import TOOL_NAME, TOOL_NAME_WORDS, conversation_of

STOPS_MOST = 4
STOP_MOST = 100
TOOLS_MOST = 128
TOOL_DESCRIPTION_MOST = 4_000
EMBEDDED_MOST = 256
EMBEDDED_TEXT_MOST = 32_000
DIMENSIONS_MOST = 100_000

CompletionRequest = pb.CreateChatCompletionRequest | pb.StreamChatCompletionRequest


def text_request(request: CompletionRequest, user_id: str) -> TextRequest:
    """What a model is asked to write."""
    violations = Violations()
    violations.text("model", request.model, most=MODEL_MOST)
    if request.HasField("n"):
        violations.integer("n", request.n, least=1, most=1)
    if request.logprobs:
        violations.add("logprobs", "must be false or absent: not every provider can tell them")
    conversation = conversation_of(violations, request.messages)
    tools = _tools(violations, request)
    sampling = _sampling(violations, request)
    schema = _schema(violations, request)
    violations.check()
    return TextRequest(
        user_id=user_id,
        lines=conversation.lines,
        instructions=conversation.instructions,
        model=request.model,
        sampling=sampling,
        response_schema=schema,
        rounds=conversation.rounds,
        tools=tools,
    )


def check_get_model(request: pb.GetOpenAIModelRequest) -> None:
    violations = Violations()
    violations.text("model", request.model, least=1, most=MODEL_MOST)
    violations.check()


def texts_to_embed(request: pb.CreateEmbeddingsRequest) -> list[str]:
    """The texts."""
    violations = Violations()
    violations.text("model", request.model, most=MODEL_MOST)
    if request.encoding_format not in {"", "float", "base64"}:
        violations.add("encoding_format", "must be float or base64")
    if request.HasField("dimensions"):
        violations.integer("dimensions", request.dimensions, least=1, most=DIMENSIONS_MOST)
    texts = _texts(violations, "input", request.input, most=EMBEDDED_MOST)
    if not texts:
        violations.add("input", "must be a text or a list of texts that is not empty")
    for position, text in enumerate(texts):
        field = "input" if len(texts) == 1 else f"input[{position}]"
        violations.text(field, text, least=1, most=EMBEDDED_TEXT_MOST)
    violations.check()
    return texts


def _texts(violations: Violations, field: str, value: Value, *, most: int) -> list[str]:
    """A text or a list of texts; nothing, and a violation, when it is anything else."""
    match value.WhichOneof("kind"):
        case None | "null_value":
            return []
        case "string_value":
            return [value.string_value]
        case "list_value" if len(value.list_value.values) > most:
            violations.add(field, f"must have at most {most} entries; it has {len(value.list_value.values)}")
            return []
        case "list_value" if all(each.WhichOneof("kind") == "string_value" for each in value.list_value.values):
            return [each.string_value for each in value.list_value.values]
        case _:
            violations.add(field, "must be a text or a list of texts")
            return []


def _tools(violations: Violations, request: CompletionRequest) -> tuple[ToolDefinition, ...]:
    violations.count("tools", request.tools, most=TOOLS_MOST)
    tools: list[ToolDefinition] = []
    for position, tool in enumerate(request.tools[:TOOLS_MOST]):
        field, function = f"tools[{position}].function", tool.function
        if tool.type not in {"", "function"}:
            violations.add(f"tools[{position}].type", "must be function")
            continue
        violations.pattern(f"{field}.name", function.name, TOOL_NAME, TOOL_NAME_WORDS)
        if any(function.name == other.name for other in tools):
            violations.add(f"{field}.name", "must be different from those of the other tools")
        violations.text(f"{field}.description", function.description, most=TOOL_DESCRIPTION_MOST)
        parameters = json_schema(violations, f"{field}.parameters", function.parameters)
        tools.append(ToolDefinition(function.name, function.description, parameters or {"type": "object"}))
    choice = request.tool_choice
    if choice.WhichOneof("kind") in {None, "null_value"} or choice.string_value == "auto":
        return tuple(tools)
    if choice.string_value != "none":
        violations.add("tool_choice", "must be auto or none: no model can be made to call a function here")
    return ()


def _sampling(violations: Violations, request: CompletionRequest) -> Sampling:
    if request.HasField("temperature"):
        violations.number("temperature", request.temperature, least=0, most=TEMPERATURE_MOST)
    if request.HasField("top_p") and not 0 < request.top_p <= 1:
        violations.add("top_p", f"must be above 0, to 1; it is {request.top_p:g}")
    most_tokens = None
    if request.HasField("max_tokens"):
        most_tokens = request.max_tokens
        violations.integer("max_tokens", most_tokens, least=1, most=OUTPUT_TOKENS_MOST)
    if request.HasField("max_completion_tokens"):
        most_tokens = request.max_completion_tokens
        violations.integer("max_completion_tokens", most_tokens, least=1, most=OUTPUT_TOKENS_MOST)
    stops = _texts(violations, "stop", request.stop, most=STOPS_MOST)
    for stop in stops:
        violations.text("stop", stop, least=1, most=STOP_MOST)
    return Sampling(
        temperature=request.temperature if request.HasField("temperature") else None,
        top_p=request.top_p if request.HasField("top_p") else None,
        max_output_tokens=most_tokens,
        stop_sequences=tuple(stops),
        seed=request.seed if request.HasField("seed") else None,
    )


def _schema(violations: Violations, request: CompletionRequest) -> Mapping[str, Any] | None:
    if not request.HasField("response_format"):
        return None
    given = request.response_format
    match given.type:
        case "text":
            return None
        case "json_object":
            return {"type": "object"}
        case "json_schema":
            if not given.json_schema.HasField("schema"):
                violations.add("response_format.json_schema.schema", "is required")
                return None
            return json_schema(violations, "response_format.json_schema.schema", given.json_schema.schema)
        case _:
            violations.add("response_format.type", "must be text, json_object or json_schema")
            return None
