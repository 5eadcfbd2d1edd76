"""Reads requests of the Responses API: their bounds as the contract states them, and what they say. Not the rights of the caller.

Every function raises the one INVALID_ARGUMENT that names each field out of its bounds. What a turn cannot honour is refused by its name
rather than passed over: an answer that ignores its instructions looks like a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf.struct_pb2 import Struct, Value
from parley.openai.v1 import response_service_pb2 as pb
from parley_shared.validation import Violations

from parley_chat.servicers.validation import MESSAGE_MOST, MODEL_MOST, SESSION_PREFIX, TURN_PREFIX

RESPONSE_PREFIX = "resp_"
IDEMPOTENCY_KEY = "idempotency-key"
STARTING_AFTER_MOST = 2_147_483_647

_CLIENT_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ONE_MESSAGE = (
    "must be a text, or a list with one message of user: what was said before is named by previous_response_id"
)
_NOT_TAKEN = {
    "instructions": "must be empty: a turn has Parley's own instructions. Chat completions take them",
    "tools": "must be empty: the tools of a turn are Parley's own, and run here. Chat completions take functions",
    "max_output_tokens": "must be absent: the model's limit counts. Chat completions take one",
    "prompt": "must be absent: no templates are kept here",
}

ResponseRequest = pb.CreateResponseRequest | pb.StreamResponseRequest


def input_text(request: ResponseRequest, idempotency_key: str) -> str:
    """Checks a request whole, and gives what the user says."""
    violations = Violations()
    text = _input(violations, request.input)
    violations.text("model", request.model, most=MODEL_MOST)
    violations.storable("model", request.model)
    if request.previous_response_id:
        violations.identifier("previous_response_id", request.previous_response_id, RESPONSE_PREFIX)
    if session_id := _session_id(violations, request.conversation):
        violations.identifier("conversation", session_id, SESSION_PREFIX)
        if request.previous_response_id:
            violations.add("conversation", "must be absent with previous_response_id, which names its session")
    if request.HasField("store") and not request.store:
        violations.add("store", "must be true: a response is a turn of a session, which is kept")
    for field, words in _NOT_TAKEN.items():
        if not _is_empty(getattr(request, field)):
            violations.add(field, words)
    if not _is_empty(request.tool_choice) and request.tool_choice.string_value != "auto":
        violations.add("tool_choice", "must be auto: the model chooses among Parley's own tools")
    if not _is_empty(request.text) and not _is_plain_text(request.text):
        violations.add("text", "must have the format text. Chat completions take a JSON Schema")
    for field in ("temperature", "top_p"):
        value = getattr(request, field)
        if not _is_empty(value) and value.number_value != 1:
            violations.add(field, "must be 1 or absent: turns have no other. Chat completions take one")
    if idempotency_key:
        violations.pattern(IDEMPOTENCY_KEY, idempotency_key, _CLIENT_MESSAGE_ID, "1 to 64 of A-Z a-z 0-9 _ -")
    violations.check()
    return text


def session_of(request: ResponseRequest) -> str:
    """The session that a request that was checked names; empty for a new one."""
    return _session_id(Violations(), request.conversation)


def turn_id_of(response_id: str) -> str:
    """The turn that a response is."""
    violations = Violations()
    violations.identifier("response_id", response_id, RESPONSE_PREFIX)
    violations.check()
    return named_turn(response_id)


def named_turn(response_id: str) -> str:
    """The turn that an id of a response that was checked names."""
    return TURN_PREFIX + response_id.removeprefix(RESPONSE_PREFIX)


def starting_after(request: pb.ResumeResponseRequest) -> int:
    """The place behind which the events are wanted; -1 for all."""
    violations = Violations()
    violations.identifier("response_id", request.response_id, RESPONSE_PREFIX)
    if request.HasField("starting_after"):
        violations.integer("starting_after", request.starting_after, least=0, most=STARTING_AFTER_MOST)
    violations.check()
    return request.starting_after if request.HasField("starting_after") else -1


def _is_empty(value: Value) -> bool:
    match value.WhichOneof("kind"):
        case "string_value":
            return not value.string_value
        case "list_value":
            return not value.list_value.values
        case kind:
            return kind in {None, "null_value"}


def _is_plain_text(value: Value) -> bool:
    form = value.struct_value.fields["format"] if "format" in value.struct_value.fields else Value()
    return value.WhichOneof("kind") == "struct_value" and (
        _is_empty(form) or _text_in(form.struct_value, "type") == "text"
    )


def _session_id(violations: Violations, value: Value) -> str:
    match value.WhichOneof("kind"):
        case None | "null_value":
            return ""
        case "string_value":
            return value.string_value
        case "struct_value":
            if session_id := _text_in(value.struct_value, "id"):
                return session_id
    violations.add("conversation", "must be the id of a session, or an object with its id")
    return ""


def _input(violations: Violations, value: Value) -> str:
    text = ""
    match value.WhichOneof("kind"):
        case "string_value":
            text = value.string_value
        case "list_value" if len(value.list_value.values) == 1:
            message = value.list_value.values[0].struct_value
            if _text_in(message, "role") != "user" or _text_in(message, "type") not in {"", "message"}:
                violations.add("input[0]", "must be a message of user: a turn answers what its user says")
                return ""
            content = message.fields["content"] if "content" in message.fields else Value()
            match content.WhichOneof("kind"):
                case "string_value":
                    text = content.string_value
                case "list_value":
                    return _bounded(violations, "input[0].content", _parts(violations, content.list_value.values))
                case _:
                    violations.add("input[0].content", "must be a text or a list of parts")
                    return ""
        case _:
            violations.add("input", _ONE_MESSAGE)
            return ""
    return _bounded(violations, "input", text)


def _bounded(violations: Violations, field: str, text: str) -> str:
    violations.text(field, text, least=1, most=MESSAGE_MOST, not_blank=True)
    violations.storable(field, text)
    return text


def _parts(violations: Violations, parts: Sequence[Value]) -> str:
    texts: list[str] = []
    for number, part in enumerate(parts):
        if _text_in(part.struct_value, "type") in {"input_text", "text"}:
            texts.append(_text_in(part.struct_value, "text"))
        else:
            violations.add(f"input[0].content[{number}]", "must be of the type input_text: turns read text only")
    return "\n".join(texts)


def _text_in(holder: Struct, name: str) -> str:
    return holder.fields[name].string_value if name in holder.fields else ""
