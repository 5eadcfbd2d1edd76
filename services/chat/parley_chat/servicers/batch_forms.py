"""The forms of the lines of batches: Parley's own, and OpenAI's. Reads them, checks them as the doors for single texts do, and writes what
came of them.

Bad lines are gathered, so that one refusal names several: `lines[7].prompt` is the field `prompt` of line 7, from 1.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from parley.ai.v1 import generation_service_pb2
from parley.chat.v1 import batch_pb2
from parley.openai.v1 import openai_service_pb2
from parley_shared.status import StatusError
from parley_shared.validation import Violations

from parley_chat.domain.batches import BatchLine, LineFailure, LineForm
from parley_chat.domain.conversation import Role
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import Sampling
from parley_chat.domain.prompt import PromptLine
from parley_chat.operations.text_generations import Gathering, RoundEvent, TextFinished
from parley_chat.ports.text_model import TextRequest, TextToolCall
from parley_chat.servicers.generation_messages import told_in_terms_of
from parley_chat.servicers.generation_validation import check_generate
from parley_chat.servicers.openai_messages import Completion
from parley_chat.servicers.openai_requests import text_request

NAME_MOST = 200
BAD_LINES_MOST = 10
"""How many bad lines are looked for before an upload is refused."""

_Message = TypeVar("_Message", bound=Message)

_URL = "/v1/chat/completions"
_OPENAI_FIELDS = frozenset({"custom_id", "method", "url", "body"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNKNOWN_FIELD = re.compile(r'has no field named "([^"]{1,100})"')
_BAD_FIELD = re.compile(
    r" at (?:BatchLine|CreateChatCompletionRequest)\.([\w.\[\]]{1,100}?)\.?$|Failed to parse (\w{1,64}) field"
)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much one batch may be."""

    lines: int
    line_bytes: int
    bytes: int


class _BadLineError(Exception):
    """Fields of one line, and what is wrong with them; the empty field is the line itself."""

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__("bad line")
        self.violations = violations


class JsonLines:
    """The port `LineReader`."""

    def __init__(self, model: str, limits: UploadLimits) -> None:
        self._model = model
        self._limits = limits
        self._rest = b""
        self._number = 0
        self._bytes = 0
        self._count = 0
        self._bad_lines = 0
        self._names: dict[str, int] = {}
        self._violations = Violations()
        self._hash = hashlib.sha256(model.encode() + b"\0")

    def take(self, data: bytes) -> Sequence[BatchLine]:
        """Takes the next bytes."""
        self._hash.update(data)
        self._bytes += len(data)
        if self._bytes > self._limits.bytes:
            self._refuse("lines", f"must have at most {self._limits.bytes:,} bytes together")
        *whole, self._rest = (self._rest + data).split(b"\n")
        found = [line for each in whole if (line := self._line(each)) is not None]
        if len(self._rest) > self._limits.line_bytes:
            # Not kept until its end comes.
            self._refuse(f"lines[{self._number + 1}]", f"must have at most {self._limits.line_bytes:,} bytes")
        return () if self._bad_lines else found

    def end(self) -> Sequence[BatchLine]:
        """Gives the last line, if it has no end."""
        last = self._line(self._rest)
        self._rest = b""
        self._violations.check()
        if not self._count:
            self._refuse("lines", "must have at least one line")
        return () if last is None else (last,)

    def digest(self) -> str:
        """The SHA-256 of the bytes and the model."""
        return self._hash.hexdigest()

    def _line(self, data: bytes) -> BatchLine | None:
        self._number += 1
        if self._number == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        if not data.strip():
            return None
        self._count += 1
        if self._count > self._limits.lines:
            self._refuse("lines", f"must be at most {self._limits.lines:,}")
        try:
            if len(data) > self._limits.line_bytes:
                raise _BadLineError(
                    [("", f"must have at most {self._limits.line_bytes:,} bytes; it has {len(data):,}")]
                )
            return self._checked(_object(data))
        except _BadLineError as error:
            where = f"lines[{self._number}]"
            for field, words in error.violations:
                self._violations.add(f"{where}.{field}" if field else where, words)
            self._bad_lines += 1
            if self._bad_lines >= BAD_LINES_MOST:
                self._violations.check()
            return None

    def _checked(self, values: dict[str, Any]) -> BatchLine:
        line = (
            _openai_line(self._number, values, self._model)
            if "custom_id" in values
            else _own_line(self._number, values, self._model)
        )
        before = self._names.setdefault(line.name, line.number)
        if before != line.number:
            field = "custom_id" if line.form is LineForm.OPENAI else "id"
            raise _BadLineError([(field, f"must be different from those of the other lines; line {before} has it")])
        return line

    def _refuse(self, field: str, words: str) -> None:
        self._violations.add(field, words)
        self._violations.check()


class JsonForms:
    """The port `BatchForms`."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits

    def reader(self, model: str) -> JsonLines:
        """Reads an upload."""
        return JsonLines(model, self._limits)

    def request(self, line: BatchLine, user_id: str) -> TextRequest:
        """What a model is asked. The line was checked when it came."""
        values = json.loads(line.request)
        if line.form is LineForm.OPENAI:
            return text_request(_parse(openai_service_pb2.CreateChatCompletionRequest(), values, lenient=True), user_id)
        own = _parse(batch_pb2.BatchLine(), values)
        return TextRequest(
            user_id=user_id,
            lines=(PromptLine(Role.USER, own.prompt),),
            instructions=own.instructions,
            model=own.model,
            sampling=Sampling(
                temperature=own.temperature if own.HasField("temperature") else None,
                max_output_tokens=own.max_output_tokens if own.HasField("max_output_tokens") else None,
            ),
            response_schema=json_format.MessageToDict(own.response_schema) if own.HasField("response_schema") else None,
            cache_seconds=own.cache_seconds,
        )

    def gathering(self, line: BatchLine) -> _Gathering | _OpenAIGathering:
        """Takes what the model writes."""
        return _OpenAIGathering() if line.form is LineForm.OPENAI else _Gathering()

    def failure(self, line: BatchLine, error: GenerationError) -> LineFailure:
        """Names the line's fields as it does."""
        told = told_in_terms_of("messages" if line.form is LineForm.OPENAI else "prompt", error)
        return LineFailure(told.failure, told.metadata.get("field", ""))


class _Gathering:
    """The result of a line in Parley's form."""

    def __init__(self) -> None:
        self._gathering = Gathering()

    def take(self, event: RoundEvent) -> None:
        # No tool was offered: a call of one is not run, and the text is the answer.
        if not isinstance(event, TextToolCall):
            self._gathering.take(event)

    def result(self) -> str | None:
        text = self._gathering.text()
        if text is None:
            return None
        usage: dict[str, Any] = {
            "input_tokens": text.usage.input_tokens,
            "output_tokens": text.usage.output_tokens,
            "estimated": text.usage.estimated,
            "time_to_first_token_ms": text.usage.time_to_first_token_ms,
            "duration_ms": text.usage.duration_ms,
        }
        if text.usage.cost_usd_micros is not None:
            usage["cost_usd_micros"] = text.usage.cost_usd_micros
        return _json(
            {
                "text": text.text,
                "model": text.model,
                "finish_reason": text.end.value,
                "usage": usage,
                "cached": text.cached,
                "offline": text.offline,
                "trace_id": text.trace_id,
            }
        )


class _OpenAIGathering:
    """The result of a line in OpenAI's form: the completion."""

    def __init__(self) -> None:
        self._completion = Completion()
        self._finished: TextFinished | None = None

    def take(self, event: RoundEvent) -> None:
        self._completion.take(event)
        if isinstance(event, TextFinished):
            self._finished = event

    def result(self) -> str | None:
        if self._finished is None:
            return None
        whole = self._completion.whole(self._finished)
        packed = json_format.MessageToDict(whole, preserving_proto_field_name=True)
        # Protobuf's JSON writes numbers of 64 bits as texts, and leaves zeros out.
        packed["created"] = whole.created
        packed["choices"][0]["index"] = 0
        packed["usage"] = {
            "prompt_tokens": whole.usage.prompt_tokens,
            "completion_tokens": whole.usage.completion_tokens,
            "total_tokens": whole.usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": whole.usage.prompt_tokens_details.cached_tokens},
        }
        packed["choices"][0]["message"].setdefault("content", None)
        return _json(packed)


def _object(data: bytes) -> dict[str, Any]:
    try:
        values = json.loads(data.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise _BadLineError([("", "must be text in UTF-8")]) from error
    except (ValueError, RecursionError) as error:
        raise _BadLineError([("", "must be one JSON object")]) from error
    if not isinstance(values, dict):
        raise _BadLineError([("", "must be one JSON object")])
    return values


def _no_number(name: str) -> float:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _own_line(number: int, values: dict[str, Any], model: str) -> BatchLine:
    own = _parse(batch_pb2.BatchLine(), values)
    name = own.id or str(number)
    asked = generation_service_pb2.GenerateTextRequest(
        prompt=own.prompt, model=own.model, system=own.instructions, cache_seconds=own.cache_seconds
    )
    if own.HasField("temperature"):
        asked.temperature = own.temperature
    if own.HasField("max_output_tokens"):
        asked.max_output_tokens = own.max_output_tokens
    if own.HasField("response_schema"):
        asked.response_schema.CopyFrom(own.response_schema)
    found = _name_violations("id", name) + _violations_of(
        lambda: check_generate(asked), lambda field: "instructions" if field == "system" else field
    )
    if found:
        raise _BadLineError(found)
    kept = {**values, "model": own.model or model}
    return BatchLine(number, name, LineForm.PARLEY, _json(kept))


def _openai_line(number: int, values: dict[str, Any], model: str) -> BatchLine:
    name, body = values["custom_id"], values.get("body")
    found = _name_violations("custom_id", name) if isinstance(name, str) and name else [("custom_id", "must be a text")]
    found += [(str(field)[:64], "is not known") for field in values if field not in _OPENAI_FIELDS]
    if values.get("method", "POST") != "POST":
        found.append(("method", "must be POST"))
    if values.get("url") != _URL:
        found.append(("url", f"must be {_URL}: nothing else is written in batches"))
    if not isinstance(body, dict):
        raise _BadLineError([*found, ("body", "must be an object")])
    if body.get("stream"):
        found.append(("body.stream", "must be absent or false: results are whole"))
    try:
        asked = _parse(openai_service_pb2.CreateChatCompletionRequest(), body, lenient=True)
    except _BadLineError as error:
        raise _BadLineError([*found, *((_under_body(field), words) for field, words in error.violations)]) from error
    found += _violations_of(lambda: text_request(asked, ""), _under_body)
    if found:
        raise _BadLineError(found)
    kept = {**body, "model": asked.model or model}
    return BatchLine(number, name, LineForm.OPENAI, _json(kept))


def _under_body(field: str) -> str:
    return f"body.{field}" if field else "body"


def _name_violations(field: str, name: str) -> list[tuple[str, str]]:
    violations = Violations()
    violations.text(field, name, least=1, most=NAME_MOST)
    if not name.isprintable():
        violations.add(field, "must not hold control characters or line breaks")
    return _violations_of(violations.check, lambda field: field)


def _violations_of(check: Callable[[], object], renamed: Callable[[str], str]) -> list[tuple[str, str]]:
    try:
        check()
    except StatusError as error:
        return [(renamed(field), words) for field, words in error.violations]
    return []


def _parse(message: _Message, values: dict[str, Any], *, lenient: bool = False) -> _Message:
    """Reads values as the contract's JSON. Lenient passes over names that it does not know, as the door for single requests does."""
    try:
        return json_format.ParseDict(values, message, ignore_unknown_fields=lenient)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        words = str(error)
        if unknown := _UNKNOWN_FIELD.search(words):
            raise _BadLineError([(unknown[1], "is not known")]) from error
        if bad := _BAD_FIELD.search(words):
            raise _BadLineError([(bad[1] or bad[2], "must be of the kind that its description says")]) from error
        raise _BadLineError([("", "must have fields of the kinds that their descriptions say")]) from error


def _json(values: object) -> str:
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))
