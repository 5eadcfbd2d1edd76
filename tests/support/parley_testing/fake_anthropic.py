"""An upstream that speaks Anthropic's Messages API on a real socket: streamed messages and the list of models.

In a test: `async with FakeAnthropic() as upstream:` and point `ANTHROPIC_BASE_URL` at `upstream.base_url`. It misbehaves as `FakeOpenAI`
does, from which it has its sockets and its script, and it is as strict as the API about what is sent: a request that Anthropic would
refuse is refused here, with the same status and in the same form. It is no model.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from parley_testing.fake_openai import (
    BEGINNINGS,
    FakeOpenAI,
    RecordedRequest,
    Reply,
    _client_leaves,
    _read_request,
    _Reader,
    _send_json,
)

OLD_VERSION = "2023-06-01"
NEW_VERSION = "2026-10-21"
_FIELDS = {
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "tool_choice",
    "tools",
}
_SAMPLING = {"temperature", "top_p", "top_k"}
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class FakeAnthropic(FakeOpenAI):
    """The upstream. A `Reply` means the same as at `FakeOpenAI`; its `finish_reason` is the `stop_reason`, its `error` the `error` object,
    its `keep_alives` are pings, and without `sends_done` there is no `message_stop`.
    """

    def __init__(self, reply: Reply | None = None, *, models: Sequence[str] = ("fake-claude",), port: int = 0) -> None:
        super().__init__(reply, models=models, port=port)
        self.key = ""
        """The only key that is taken; any when it is empty."""
        self.lines: Mapping[str, str] = {}
        """The line of models, by name."""
        self.lifecycles: Mapping[str, str] = {}
        """`deprecated` or `retired`, by name; the others are `active`."""
        self.cache_creation_tokens = 0
        """Input that was written to the cache; not part of the reply's `input_tokens`, as what was read from it is not."""
        self.takes_schemas = True
        """Whether the models keep to a schema; else they refuse one."""
        self.takes_thinking = True
        """Whether the models think by a budget; else they refuse one."""
        self.takes_sampling = True
        """Whether the older version's models still take temperature and top_p."""

    @property
    def base_url(self) -> str:
        """What `ANTHROPIC_BASE_URL` is set to."""
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        served = 0
        while (request := await _read_request(reader)) is not None:
            if self.hangs_up_on_reuse and served:
                return
            served += 1
            self.requests.append(request)
            reply = self._refused(request) or (self._queue.pop(0) if self._queue else self._usual(request))
            if reply.status != 200 and reply.body is None:
                reply = replace(reply, body=[_error_body(reply)])
            if request.path == "/v1/messages":
                if not await self._complete(request, reply, reader, writer):
                    return
            else:
                if reply.headers_seconds and await _client_leaves(reader, reply.headers_seconds):
                    return
                await _send_json(writer, replace(reply, headers_seconds=0), self._list())

    def _usual(self, request: RecordedRequest) -> Reply:
        return self.reply if request.path == "/v1/messages" else Reply()

    def _refused(self, request: RecordedRequest) -> Reply | None:
        """What the API refuses before it does anything."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key", "")
        if self.key and sent != self.key:
            return Reply(status=401, error={"message": "invalid x-api-key"})
        version = request.headers.get("anthropic-version")
        if version not in {OLD_VERSION, NEW_VERSION}:
            return _invalid("anthropic-version: header is required")
        if (request.method, request.path) == ("GET", "/v1/models"):
            return None
        if (request.method, request.path) != ("POST", "/v1/messages"):
            return Reply(status=404, error={"message": f"no route {request.path}"})
        body = request.body
        for name in body:
            if name in _SAMPLING and version == NEW_VERSION:
                return _invalid(f"{name}: Extra inputs are not permitted")
            if name in _SAMPLING and not self.takes_sampling:
                return _invalid(f"`{name}` is deprecated for this model.")
            if name not in _FIELDS | _SAMPLING:
                return _invalid(f"{name}: Extra inputs are not permitted")
        if "temperature" in body and not 0 <= body["temperature"] <= 1:
            return _invalid("temperature: range: 0..1")
        if {"temperature", "top_p"} <= body.keys():
            return _invalid("`temperature` and `top_p` cannot both be specified for this model.")
        if not isinstance(body.get("max_tokens"), int):
            return _invalid("max_tokens: Field required")
        if (thinking := body.get("thinking")) is not None:
            if not self.takes_thinking:
                return _invalid("thinking.type: enabled is not supported for this model.")
            if not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
                return _invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
            if "temperature" in body or body["messages"][-1]["role"] == "assistant":
                return _invalid("thinking is not possible with a temperature or a prefill")
        words = _fault_of(body.get("messages"), takes_prefill=self.takes_prefill)
        words = words or _fault_of_format(body.get("output_config"), takes_schemas=self.takes_schemas)
        if words is None and any(tool["input_schema"].get("type") != "object" for tool in body.get("tools", ())):
            words = "tools.0.custom.input_schema.type: Field required"
        return _invalid(words) if words is not None else None

    def _list(self) -> dict[str, Any]:
        models = [
            {
                "type": "model",
                "id": name,
                "display_name": name,
                "created_at": "2026-01-01T00:00:00Z",
                "lifecycle": self.lifecycles.get(name, "active"),
                "line": self.lines.get(name),
            }
            for name in self.models
        ]
        ends = {"first_id": self.models[0], "last_id": self.models[-1]} if self.models else {}
        return {"data": models, "has_more": False, **ends}

    async def _paced(self, request: Mapping[str, Any], reply: Reply) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        yield self._beginning(request, reply)
        await asyncio.sleep(reply.first_token_seconds)
        started = loop.time()
        limits = [limit for limit in (reply.break_off_after, reply.stall_after) if limit is not None]
        for number, data in enumerate(_deltas(request, reply)):
            if limits and number >= min(limits):
                return
            if number == reply.waits_after and not self.go_on.is_set():
                await self.go_on.wait()
                started = loop.time() - number / (reply.tokens_per_second or 1)
            if reply.tokens_per_second and (wait := started + number / reply.tokens_per_second - loop.time()) > 0:
                await asyncio.sleep(wait)
            self.deltas_sent += 1
            yield data
        yield self._end(reply)

    def _beginning(self, request: Mapping[str, Any], reply: Reply) -> bytes:
        message = {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        if reply.sends_usage:
            message["usage"] = {
                "input_tokens": reply.input_tokens,
                "cache_creation_input_tokens": self.cache_creation_tokens,
                "cache_read_input_tokens": reply.cached_input_tokens,
                "output_tokens": 1,
            }
        return _event({"type": "message_start", "message": message}, reply) + _event({"type": "ping"}, reply)

    def _end(self, reply: Reply) -> bytes:
        data = b""
        if reply.sends_finish:
            reason = reply.finish_reason or ("tool_use" if reply.tool_calls else "end_turn")
            event: dict[str, Any] = {
                "type": "message_delta",
                "delta": {"stop_reason": reason, "stop_sequence": None},
            }
            if reply.sends_usage:
                event["usage"] = {
                    "output_tokens": len(reply.pieces) + len(reply.reasoning),
                    "output_tokens_details": {"thinking_tokens": reply.reasoning_tokens},
                }
            data += _event(event, reply)
        return data + _event({"type": "message_stop"}, reply) if reply.sends_done else data


def event_of(data: Mapping[str, Any], line_end: str = "\n") -> bytes:
    """One event as the API writes it: its name on a line of its own, and again in its data."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {data['type']}{line_end}data: {text}{line_end * 2}".encode()


def _event(data: Mapping[str, Any], reply: Reply) -> bytes:
    ping = event_of({"type": "ping"}, reply.line_end) if reply.keep_alives else b""
    return ping + event_of(data, reply.line_end)


def _invalid(words: str) -> Reply:
    return Reply(status=400, error={"message": words})


def _error_body(reply: Reply) -> bytes:
    error = {"type": _KINDS.get(reply.status, "api_error"), "message": "", **(reply.error or {})}
    return json.dumps({"type": "error", "error": error, "request_id": "req_fake"}).encode()


def _fault_of_format(config: Any, *, takes_schemas: bool) -> str | None:
    """What the API has against the form in which an answer is wanted; None when it takes it."""
    if config is None:
        return None
    if not takes_schemas:
        return "output_config.format: structured outputs are not available for this model"
    if set(config) != {"format"} or set(config["format"]) != {"type", "schema"}:
        return "output_config: Extra inputs are not permitted"
    if config["format"]["type"] != "json_schema":
        return "output_config.format.type: Input should be 'json_schema'"
    waiting = [config["format"]["schema"]]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        if one.get("type") == "object" and one.get("additionalProperties") is not False:
            return (
                "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
        if {"minimum", "maximum", "minLength", "maxLength"} & one.keys():
            return "output_config.format.schema: For this type, properties like 'minimum' and 'maxLength' are not supported"
        waiting += [*one.get("properties", {}).values(), one.get("items")]
    return None


def _fault_of_image(block: Mapping[str, Any]) -> str | None:
    """What the API has against a picture; None when it takes it."""
    source = block.get("source", {})
    if source.get("type") != "base64" or source.get("media_type") not in BEGINNINGS:
        return "image.source: Input tag is not one of the expected"
    data = base64.b64decode(source["data"], validate=True)
    if not data.startswith(BEGINNINGS[source["media_type"]]):
        return (
            f"image.source.base64: The image was specified using the {source['media_type']} media type, but is not one"
        )
    return None


def _fault_of(messages: Any, *, takes_prefill: bool) -> str | None:
    """What the API has against these messages; None when it takes them."""
    if not messages:
        return "messages: at least one message is required"
    if messages[0]["role"] != "user":
        return "messages: first message must use the user role"
    called: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] not in {"user", "assistant"}:
            return f"messages.{number}.role: Input should be 'user' or 'assistant'"
        blocks = _blocks(message)
        if not blocks:
            return f"messages.{number}: all messages must have non-empty content"
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            return f"messages.{number}: text content blocks must contain non-whitespace text"
        for block in blocks:
            if block["type"] == "image" and (words := _fault_of_image(block)):
                return f"messages.{number}.content.0.{words}"
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if answered != called:
            return f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after"
        called = {block["id"] for block in blocks if block["type"] == "tool_use"}
        if not all(_ID.fullmatch(one) for one in called):
            return f"messages.{number}.content.0.tool_use.id: String should match pattern"
        if not all(isinstance(block["input"], dict) for block in blocks if block["type"] == "tool_use"):
            return f"messages.{number}.content.0.tool_use.input: Input should be a valid dictionary"
    if messages[-1]["role"] == "assistant":
        if not takes_prefill:
            return "This model does not support assistant message prefill."
        if _text_of(messages[-1]) != _text_of(messages[-1]).rstrip():
            return "messages: final assistant content cannot end with trailing whitespace"
    return None


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _text_of(message: Mapping[str, Any]) -> str:
    return "".join(block["text"] for block in _blocks(message) if block["type"] == "text")


def _pieces_after(request: Mapping[str, Any], pieces: Sequence[str]) -> list[str]:
    """What follows the answer so far, the assistant's message that is the last or before the last, when the pieces begin with it."""
    so_far = next((_text_of(one) for one in reversed(request["messages"][-2:]) if one["role"] == "assistant"), "")
    whole = "".join(pieces)
    if not so_far or so_far == whole or not whole.startswith(so_far):
        return list(pieces)
    left, rest = len(so_far), []
    for piece in pieces:
        if left < len(piece):
            rest.append(piece[left:])
        left = max(0, left - len(piece))
    return rest


def _deltas(request: Mapping[str, Any], reply: Reply) -> list[bytes]:
    """The deltas, with the beginnings and ends of blocks before and after them."""
    pieces = list(reply.pieces) if reply.repeats_beginning else _pieces_after(request, reply.pieces)
    thoughts: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": one} for one in reply.reasoning]
    if thoughts:
        thoughts.append({"type": "signature_delta", "signature": "c2lnbmVk"})
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"type": "thinking", "thinking": "", "signature": ""}, thoughts),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]),
    ]
    for call in reply.tool_calls:
        head = {"type": "tool_use", "id": call.call_id, "name": call.name, "input": {}}
        fragments = ["", *(call.arguments[start : start + 7] for start in range(0, len(call.arguments), 7))]
        blocks.append((head, [{"type": "input_json_delta", "partial_json": one} for one in fragments]))
    found: list[bytes] = []
    for index, (block, deltas) in enumerate([one for one in blocks if one[1]]):
        events = [_event({"type": "content_block_delta", "index": index, "delta": delta}, reply) for delta in deltas]
        events[0] = _event({"type": "content_block_start", "index": index, "content_block": block}, reply) + events[0]
        events[-1] += _event({"type": "content_block_stop", "index": index}, reply)
        found += events
    return found
