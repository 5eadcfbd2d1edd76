"""The bounds of requests for generations without a session, as the contract states them. Not the rights of the caller.

Every function raises the one INVALID_ARGUMENT that names each field out of its bounds. What only inference can judge (a model's name,
whether a JSON Schema is one, the values of a template) it refuses itself.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from parley.ai.v1 import agent_service_pb2, content_service_pb2, generation_service_pb2
from parley_shared.validation import Violations

from parley_chat.servicers.times import check_time_zone

PROMPT_MOST = 100_000
SYSTEM_MOST = 20_000
MODEL_MOST = 200
TEMPERATURE_MOST = 2
OUTPUT_TOKENS_MOST = 1_000_000
SCHEMA_BYTES_MOST = 100_000
CACHE_SECONDS_MOST = 86_400
AGENT_ID_MOST = 64
PROJECT_MOST = 100
TEMPLATE_ID_MOST = 64
CUSTOM_TEMPLATE_MOST = 10_000
FIELDS_MOST = 50
FIELD_NAME_MOST = 64
FIELD_VALUE_MOST = 100_000
"""More than any template takes: which values are too long, the template says."""
CUSTOM_FIELD_VALUE_MOST = 20_000
TONE_MOST = 100
AUDIENCE_MOST = 200
LANGUAGE_MOST = 50
VARIANTS_MOST = 4


def check_generate(
    request: generation_service_pb2.GenerateTextRequest | generation_service_pb2.StreamGenerateTextRequest,
) -> dict[str, Any] | None:
    """Gives the JSON Schema; None when the request has none."""
    violations = Violations()
    _prompt(violations, "prompt", request.prompt)
    _text(violations, "model", request.model, MODEL_MOST)
    _text(violations, "system", request.system, SYSTEM_MOST)
    if request.HasField("temperature"):
        violations.number("temperature", request.temperature, least=0, most=TEMPERATURE_MOST)
    if request.HasField("max_output_tokens"):
        violations.integer("max_output_tokens", request.max_output_tokens, least=1, most=OUTPUT_TOKENS_MOST)
    violations.integer("cache_seconds", request.cache_seconds, least=0, most=CACHE_SECONDS_MOST)
    schema = (
        json_schema(violations, "response_schema", request.response_schema)
        if request.HasField("response_schema")
        else None
    )
    violations.check()
    return schema


def check_process(request: agent_service_pb2.ProcessRequest | agent_service_pb2.StreamProcessRequest) -> None:
    violations = Violations()
    violations.text("agent_id", request.agent_id, least=1, most=AGENT_ID_MOST)
    _prompt(violations, "input", request.input)
    _text(violations, "model", request.model, MODEL_MOST)
    _text(violations, "project", request.project, PROJECT_MOST)
    check_time_zone(violations, request.time_zone)
    violations.check()


def check_content(
    request: content_service_pb2.GenerateContentRequest | content_service_pb2.StreamContentRequest,
) -> None:
    violations = Violations()
    _text(violations, "template_id", request.template_id, TEMPLATE_ID_MOST)
    _text(violations, "custom_template", request.custom_template, CUSTOM_TEMPLATE_MOST)
    if request.custom_template and not request.custom_template.strip():
        violations.add("custom_template", "must not be blank")
    elif not (request.template_id or request.custom_template):
        violations.add("template_id", "is required unless custom_template is given")
    violations.count("fields", request.fields, most=FIELDS_MOST)
    if len(request.fields) <= FIELDS_MOST:
        longest = CUSTOM_FIELD_VALUE_MOST if request.custom_template else FIELD_VALUE_MOST
        for name, value in request.fields.items():
            # A name that is too long is not repeated.
            violations.text("fields", name, most=FIELD_NAME_MOST)
            if len(name) <= FIELD_NAME_MOST:
                _text(violations, f"fields.{name}", value, longest)
    _text(violations, "tone", request.tone, TONE_MOST)
    _text(violations, "audience", request.audience, AUDIENCE_MOST)
    violations.choice("length", request.length, content_service_pb2.ContentLength.values())
    _text(violations, "language", request.language, LANGUAGE_MOST)
    violations.integer("variant_count", request.variant_count, least=0, most=VARIANTS_MOST)
    _text(violations, "model", request.model, MODEL_MOST)
    violations.check()


def _prompt(violations: Violations, field: str, value: str) -> None:
    violations.stored_text(field, value, least=1, most=PROMPT_MOST, not_blank=True)


def _text(violations: Violations, field: str, value: str, most: int) -> None:
    violations.stored_text(field, value, most=most)


def json_schema(violations: Violations, field: str, schema: Struct) -> dict[str, Any] | None:
    """Gives a JSON Schema; None, and a violation, when it is too long. Whether it is one, inference says."""
    # As Protobuf it is about as long as JSON: what is far too long is not even made into one.
    if schema.ByteSize() <= 2 * SCHEMA_BYTES_MOST:
        found: dict[str, Any] = MessageToDict(schema)
        if len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()) <= SCHEMA_BYTES_MOST:
            return found
    violations.add(field, f"must be at most {SCHEMA_BYTES_MOST} bytes of JSON")
    return None
