"""The bounds of inference's requests, as the contract states them. Not the rights of the caller, and not what a model can do."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from google.protobuf.struct_pb2 import Struct, Value
from parley.inference.v1 import (
    agent_service_pb2,
    content_service_pb2,
    embedding_service_pb2,
    generation_pb2,
    inference_service_pb2,
)
from parley_shared.validation import Violations

from parley_inference.servicers.messages import REMEMBERED_BYTES_MOST, REMEMBERED_SCHEMAS

MESSAGES_MOST = 1000
MESSAGE_TEXT_MOST = 1_000_000
TOOL_CALLS_MOST = 32
MODEL_MOST = 200
NAME_MOST = 64
"""Of agents and templates."""
CUSTOM_TEMPLATE_MOST = 10_000
FIELDS_MOST = 50
TONE_MOST = 100
AUDIENCE_MOST = 200
LANGUAGE_MOST = 50
PASSAGES_MOST = 50
PASSAGE_TEXT_MOST = 20_000
TITLE_MOST = 500
TOOLS_MOST = 128
DESCRIPTION_MOST = 4000
OUTPUT_TOKENS_MOST = 1_000_000
STOP_SEQUENCES_MOST = 4
STOP_SEQUENCE_MOST = 100
IMAGES_MOST = 8
IMAGE_BYTES_MOST = 3_000_000
CACHE_SECONDS_MOST = 86_400
RESPONSE_SCHEMA_PACKED_BYTES_MOST = 1_500_000
"""Of its message: what is larger cannot be 100,000 bytes as JSON, and is not unpacked to count them."""
TEXTS_MOST = 256
TEXT_MOST = 32_000

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_ROLES = frozenset(generation_pb2.PromptRole.values()) - {generation_pb2.PROMPT_ROLE_UNSPECIFIED}
_LAST_ROLES = frozenset({generation_pb2.PROMPT_ROLE_USER, generation_pb2.PROMPT_ROLE_TOOL})


def check_generate(
    request: inference_service_pb2.StreamGenerateRequest | inference_service_pb2.GenerateRequest,
) -> None:
    """Checks a request to generate."""
    violations = Violations()
    violations.count("messages", request.messages, least=1, most=MESSAGES_MOST)
    # Beyond the bound nothing is looked at: the count is already named.
    messages = list(request.messages[:MESSAGES_MOST])
    _messages(violations, messages)
    violations.text("model", request.model, most=MODEL_MOST)
    violations.count("passages", request.passages, most=PASSAGES_MOST)
    for index, passage in enumerate(request.passages[:PASSAGES_MOST]):
        _passage(violations, f"passages[{index}]", passage, index + 1)
    violations.count("tools", request.tools, most=TOOLS_MOST)
    _tools(violations, list(request.tools[:TOOLS_MOST]))
    violations.text("answer_so_far", request.answer_so_far, most=MESSAGE_TEXT_MOST)
    violations.text("agent_id", request.agent_id, most=NAME_MOST)
    violations.integer("cache_seconds", request.cache_seconds, least=0, most=CACHE_SECONDS_MOST)
    if request.HasField("response_schema"):
        _response_schema(violations, request)
    if request.HasField("sampling"):
        _sampling(violations, request.sampling)
    violations.check()


def check_get_agent(request: agent_service_pb2.GetAgentRequest) -> None:
    """Checks a request for an agent."""
    violations = Violations()
    violations.text("agent_id", request.agent_id, least=1, most=NAME_MOST)
    violations.check()


def check_render_content_prompt(request: content_service_pb2.RenderContentPromptRequest) -> None:
    """Checks the form of a request for a prompt of content. Whether the values fit their template is seen when it is filled."""
    violations = Violations()
    violations.text("template_id", request.template_id, least=0 if request.custom_template else 1, most=NAME_MOST)
    violations.text("custom_template", request.custom_template, most=CUSTOM_TEMPLATE_MOST)
    if request.custom_template and not request.custom_template.strip():
        violations.add("custom_template", "must not be blank")
    violations.count("fields", request.fields, most=FIELDS_MOST)
    for field, value, most in (
        ("tone", request.tone, TONE_MOST),
        ("audience", request.audience, AUDIENCE_MOST),
        ("language", request.language, LANGUAGE_MOST),
    ):
        violations.text(field, value, most=most)
        if not value.isprintable():
            violations.add(field, "must be one line")
    violations.choice("length", request.length, content_service_pb2.ContentLength.values())
    violations.check()


def check_embed(request: embedding_service_pb2.EmbedRequest) -> None:
    """Checks a request to embed."""
    violations = Violations()
    violations.count("texts", request.texts, least=1, most=TEXTS_MOST)
    for index, text in enumerate(request.texts[:TEXTS_MOST]):
        violations.text(f"texts[{index}]", text, least=1, most=TEXT_MOST)
    violations.text("model", request.model, most=MODEL_MOST)
    violations.check()


def _messages(violations: Violations, messages: list[generation_pb2.PromptMessage]) -> None:
    in_head = True
    for index, message in enumerate(messages):
        field = f"messages[{index}]"
        violations.choice(f"{field}.role", message.role, _ROLES)
        is_system = message.role == generation_pb2.PROMPT_ROLE_SYSTEM
        in_head = in_head and is_system
        if is_system and not in_head:
            violations.add(
                f"{field}.role", "must not be SYSTEM after another role: instructions stand at the beginning"
            )
        least = 0 if message.tool_calls else 1
        violations.text(f"{field}.text", message.text, least=least, most=MESSAGE_TEXT_MOST)
        _images(violations, f"{field}.images", message)
        violations.count(f"{field}.tool_calls", message.tool_calls, most=TOOL_CALLS_MOST)
        if message.tool_calls and message.role != generation_pb2.PROMPT_ROLE_ASSISTANT:
            violations.add(f"{field}.tool_calls", "must be empty unless the role is ASSISTANT")
        if message.role == generation_pb2.PROMPT_ROLE_TOOL:
            if not message.tool_call_id:
                violations.add(f"{field}.tool_call_id", "must name the call that this is the result of")
        elif message.tool_call_id:
            violations.add(f"{field}.tool_call_id", "must be empty unless the role is TOOL")
    if messages and messages[-1].role not in _LAST_ROLES:
        violations.add(f"messages[{len(messages) - 1}].role", "must be USER or TOOL in the last message")


def _passage(violations: Violations, field: str, passage: generation_pb2.Passage, number: int) -> None:
    if passage.number != number:
        violations.add(f"{field}.number", f"must be {number}, its place in the list; it is {passage.number}")
    violations.text(f"{field}.title", passage.title, most=TITLE_MOST)
    violations.text(f"{field}.text", passage.text, least=1, most=PASSAGE_TEXT_MOST)
    violations.text(f"{field}.heading", passage.heading, most=TITLE_MOST)


def _tools(violations: Violations, tools: list[generation_pb2.Tool]) -> None:
    names: set[str] = set()
    for index, tool in enumerate(tools):
        field = f"tools[{index}]"
        violations.pattern(f"{field}.name", tool.name, _TOOL_NAME, "1 to 64 of A-Z a-z 0-9 _ -")
        if tool.name in names:
            violations.add(f"{field}.name", "must differ from the names of the other tools")
        names.add(tool.name)
        violations.text(f"{field}.description", tool.description, most=DESCRIPTION_MOST)
        if tool.HasField("parameters_schema"):
            _schema(violations, f"{field}.parameters_schema", tool.parameters_schema)


def _response_schema(
    violations: Violations,
    request: inference_service_pb2.StreamGenerateRequest | inference_service_pb2.GenerateRequest,
) -> None:
    """What can be said of it without knowing JSON Schema."""
    schema = request.response_schema
    if request.answer_so_far:
        violations.add("response_schema", "must not be set together with answer_so_far")
    if schema.ByteSize() > RESPONSE_SCHEMA_PACKED_BYTES_MOST:
        violations.add("response_schema", "must have at most 100000 bytes as JSON; it has many more")
    elif not _is_json(schema):
        violations.add("response_schema", "must not hold numbers that JSON does not have, nor values that are not set")


def _images(violations: Violations, field: str, message: generation_pb2.PromptMessage) -> None:
    violations.count(field, message.images, most=IMAGES_MOST)
    if message.images and message.role != generation_pb2.PROMPT_ROLE_USER:
        violations.add(field, "must be empty unless the role is USER")
    size = sum(len(image.data) for image in message.images)
    if size > IMAGE_BYTES_MOST:
        violations.add(field, f"must together have at most {IMAGE_BYTES_MOST} bytes; they have {size}")
    for index, image in enumerate(message.images[:IMAGES_MOST]):
        if image.media_type not in MEDIA_TYPES:
            violations.add(f"{field}[{index}].media_type", f"must be one of {', '.join(MEDIA_TYPES)}")
        elif (found := media_type_of(image.data)) != image.media_type:
            is_one = f"is {found}" if found else "is none of these pictures"
            violations.add(f"{field}[{index}].data", f"must be what media_type says, {image.media_type}; it {is_one}")


def media_type_of(data: bytes) -> str:
    """What a picture is by how its file begins; empty when it is none that may be sent."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _BEGINNINGS.items() if data.startswith(begin)), "")


def _schema(violations: Violations, field: str, schema: Struct) -> None:
    kind = schema.fields.get("type")
    if kind is not None and kind.string_value != "object":
        violations.add(field, "must be the schema of an object: its type must be object")
    # The same few tools come with request after request: theirs are looked at once.
    packed = schema.SerializeToString(deterministic=True)
    if not (_is_json(schema) if len(packed) > REMEMBERED_BYTES_MOST else _is_packed_json(packed)):
        violations.add(field, "must not hold numbers that JSON does not have, nor values that are not set")


@lru_cache(maxsize=REMEMBERED_SCHEMAS)
def _is_packed_json(packed: bytes) -> bool:
    return _is_json(Struct.FromString(packed))


def _is_json(value: Struct | Value) -> bool:
    """Whether all of it can be written as JSON. As deep as protobuf's own parser lets it be, which is a hundred levels."""
    if isinstance(value, Struct):
        return all(_is_json(one) for one in value.fields.values())
    match value.WhichOneof("kind"):
        case None:
            return False
        case "number_value":
            return math.isfinite(value.number_value)
        case "struct_value":
            return _is_json(value.struct_value)
        case "list_value":
            return all(_is_json(one) for one in value.list_value.values)
        case _:
            return True


def _sampling(violations: Violations, sampling: generation_pb2.Sampling) -> None:
    if sampling.HasField("temperature"):
        violations.number("sampling.temperature", sampling.temperature, least=0, most=2)
    if sampling.HasField("top_p") and not 0 < sampling.top_p <= 1:
        violations.add("sampling.top_p", f"must be above 0, to 1; it is {sampling.top_p:g}")
    if sampling.HasField("max_output_tokens"):
        violations.integer("sampling.max_output_tokens", sampling.max_output_tokens, least=1, most=OUTPUT_TOKENS_MOST)
    violations.count("sampling.stop_sequences", sampling.stop_sequences, most=STOP_SEQUENCES_MOST)
    for index, sequence in enumerate(sampling.stop_sequences[:STOP_SEQUENCES_MOST]):
        violations.text(f"sampling.stop_sequences[{index}]", sequence, least=1, most=STOP_SEQUENCE_MOST)
