"""Messages of the Model Context Protocol: read, checked against its revisions, and written. Not what its methods do.

There are two eras. Up to 2025-11-25 a client begins with `initialize` and says the revision in a header from then on. Since 2026-07-28
every request carries what it needs, and headers repeat its method and tool for those on the way.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HANDSHAKE_REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Those that begin with `initialize`, the oldest first."""
MODERN_REVISIONS = ("2026-07-28",)
"""Those in which every request stands alone."""
REVISION_WITHOUT_HEADER = "2025-03-26"
"""What the protocol says a request without the header speaks."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
UNSUPPORTED_REVISION = -32022

REVISION_HEADER = "mcp-protocol-version"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
_REVISION = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"

MOST_BYTES = 1_000_000
MOST_DEPTH = 100
_MOST_ID = 200
_MOST_METHOD = 200
_STATUSES = {METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 200}
"""What HTTP says of an error since 2026-07-28; 400 for the others."""


class McpError(Exception):
    """An answer that is an error. `message` is for the client's developer."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Message:
    """What a client sent."""

    method: str
    params: Mapping[str, Any]
    request_id: str | int | None
    """None for a notification."""

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.request_id is None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client is answered."""

    body: bytes
    """JSON; empty for a notification."""
    status: int
    """Of HTTP."""


ACCEPTED = Reply(b"", 202)
"""The answer to a notification."""


def read_message(data: bytes) -> Message:
    """Reads a message. Raises McpError."""
    if len(data) > MOST_BYTES:
        raise McpError(INVALID_REQUEST, f"A message has at most {MOST_BYTES:,} bytes.")
    try:
        value = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        # Bytes that are no UTF-8 are a ValueError too.
        raise McpError(PARSE_ERROR, "The message is not JSON.") from error
    if isinstance(value, list):
        raise McpError(INVALID_REQUEST, "Send one message at a time: lists of messages are not taken.")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise McpError(INVALID_REQUEST, "The message is not a JSON-RPC 2.0 object.")
    if not _is_shallow(value):
        raise McpError(INVALID_REQUEST, f"The message is nested deeper than {MOST_DEPTH}.")
    method, params, request_id = value.get("method"), value.get("params", {}), value.get("id")
    if not isinstance(method, str) or not 1 <= len(method) <= _MOST_METHOD:
        raise McpError(INVALID_REQUEST, "The message is no request and no notification: it has no method.")
    if not isinstance(params, dict):
        raise McpError(INVALID_REQUEST, "params is not an object.")
    if "id" in value and not _is_id(request_id):
        raise McpError(
            INVALID_REQUEST, f"id is neither a whole number of 64 bits nor a text of at most {_MOST_ID} characters."
        )
    return Message(method, params, request_id)


def check_revision(message: Message, headers: Mapping[str, str]) -> str:
    """The revision in which a message is to be read. Raises McpError when it is none of ours, or the message lacks what it asks for."""
    said = headers.get(REVISION_HEADER, "")
    if said in MODERN_REVISIONS:
        if not message.is_notification:
            _check_modern(message, said, headers)
        return said
    if message.method == "initialize" or not said:
        return REVISION_WITHOUT_HEADER
    if said not in HANDSHAKE_REVISIONS:
        raise McpError(
            UNSUPPORTED_REVISION,
            "Unsupported protocol version",
            {"supported": [*HANDSHAKE_REVISIONS, *MODERN_REVISIONS], "requested": said[:64]},
        )
    return said


def result(message: Message, revision: str, body: Mapping[str, Any]) -> Reply:
    """The answer to a request that was done."""
    said = {"resultType": "complete", **body} if revision in MODERN_REVISIONS else body
    return Reply(_written({"jsonrpc": "2.0", "id": message.request_id, "result": said}), 200)


def refusal(message: Message | None, revision: str, error: McpError) -> Reply:
    """The answer to what was not. `message` is None when it could not be read."""
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        told["data"] = error.data
    body = {"jsonrpc": "2.0", "id": message.request_id if message else None, "error": told}
    if message is not None and revision in HANDSHAKE_REVISIONS and error.code != UNSUPPORTED_REVISION:
        # The message came through; what the method says is its own business.
        return Reply(_written(body), 200)
    return Reply(_written(body), _STATUSES.get(error.code, 400))


def _check_modern(message: Message, said: str, headers: Mapping[str, str]) -> None:
    meta = message.params.get("_meta")
    if not isinstance(meta, dict) or _REVISION not in meta or not isinstance(meta.get(_CAPABILITIES), dict):
        raise McpError(INVALID_PARAMS, f"params._meta must hold {_REVISION} and {_CAPABILITIES}.")
    if meta[_REVISION] != said:
        raise McpError(HEADER_MISMATCH, f"The header {REVISION_HEADER} and params._meta name different revisions.")
    if headers.get("mcp-method") != message.method:
        raise McpError(HEADER_MISMATCH, "The header mcp-method does not name the method of the message.")
    name = message.params.get("name")
    if message.method == "tools/call" and name is not None and _decoded(headers.get("mcp-name")) != name:
        raise McpError(HEADER_MISMATCH, "The header mcp-name does not name the tool of the message.")


def _decoded(header: str | None) -> str | None:
    """The value of a header, which has a form of its own for what headers cannot hold; None when it is broken."""
    if header is None or not (header.startswith("=?base64?") and header.endswith("?=")):
        return header
    try:
        return base64.b64decode(header[9:-2], validate=True).decode()
    except ValueError:
        return None


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MOST_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_shallow(value: object) -> bool:
    """Whether it is nested less deep than what is read further can be."""
    layer = [value]
    for _ in range(MOST_DEPTH):
        layer = [
            inner
            for each in layer
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not layer:
            return True
    return False


def _refuse(constant: str) -> None:
    """JSON has no NaN and no Infinity."""
    raise ValueError(constant)


def _written(body: Mapping[str, Any]) -> bytes:
    # In ASCII: what a client sent, an id with half a character for example, can always be sent back.
    return json.dumps(body, separators=(",", ":")).encode()
