"""McpService: Parley's own tools for clients of the Model Context Protocol, with the rights of their user's token.

Nothing is kept between two messages. The tools of other servers, which models have, are not passed on: a client asks these itself. Nor is
anybody asked before a tool runs: that is the client's part, and what the token's scopes allow is the bound.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from parley.mcp.v1 import mcp_service_pb2, mcp_service_pb2_grpc
from parley_shared.status import StatusError
from parley_shared.tokens import Principal, current_principal
from parley_shared.validation import Violations

from parley_chat.domain.tool_approvals import ToolEffect
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.ports.toolbox import ToolCall, ToolDefinition
from parley_chat.servicers import mcp_messages as messages
from parley_chat.servicers.mcp_messages import McpError, Message, Reply
from parley_chat.servicers.times import check_time_zone

STATUS_KEY = "parley-http-status"
"""The initial metadata that tells the edge which status of HTTP to answer with."""
TIME_ZONE_HEADER = "parley-time-zone"

_INSTRUCTIONS = (
    "The user's tasks and documents in Parley. Times without an offset are meant in the time zone of the header parley-time-zone, "
    "UTC without it."
)
_Headers = Mapping[str, str]
_Method = Callable[[Message, Principal, _Headers], Awaitable[dict[str, Any]]]
Context = grpc.aio.ServicerContext[object, object]


class McpServicer(mcp_service_pb2_grpc.McpServiceServicer):
    """Serves tools to their user's programs."""

    def __init__(self, tools: ToolCalls, version: str) -> None:
        self._tools = tools
        self._server = {"name": "parley", "title": "Parley", "version": version}
        self._handshake: Mapping[str, _Method] = {
            "initialize": self._initialize,
            "ping": self._ping,
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
        }
        self._modern: Mapping[str, _Method] = {
            "server/discover": self._discover,
            "tools/list": self._list_tools_for_now,
            "tools/call": self._call_tool,
        }

    async def ExchangeMessage(
        self, request: mcp_service_pb2.ExchangeMessageRequest, context: Context
    ) -> mcp_service_pb2.ExchangeMessageResponse:
        """Takes one message and answers it."""
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        reply = await self._answer(request.body.data, headers, current_principal())
        if reply.status != 200:
            await context.send_initial_metadata(((STATUS_KEY, str(reply.status)),))
        response = mcp_service_pb2.ExchangeMessageResponse()
        response.body.content_type = "application/json"
        response.body.data = reply.body
        return response

    async def _answer(self, data: bytes, headers: _Headers, principal: Principal) -> Reply:
        revision, message = messages.REVISION_WITHOUT_HEADER, None
        try:
            message = messages.read_message(data)
            revision = messages.check_revision(message, headers)
            if message.is_notification:
                # There is nothing that one could change: who began, or gives up, is known by the connection.
                return messages.ACCEPTED
            method = (self._modern if revision in messages.MODERN_REVISIONS else self._handshake).get(message.method)
            if method is None:
                raise McpError(messages.METHOD_NOT_FOUND, "Parley has no such method.")
            return messages.result(message, revision, await method(message, principal, headers))
        except McpError as error:
            if headers.get(messages.REVISION_HEADER) in messages.MODERN_REVISIONS:
                revision = messages.MODERN_REVISIONS[-1]
            return messages.refusal(message, revision, error)

    async def _initialize(self, message: Message, principal: Principal, headers: _Headers) -> dict[str, Any]:
        asked = message.params.get("protocolVersion")
        if not isinstance(asked, str):
            raise McpError(messages.INVALID_PARAMS, "protocolVersion is missing.")
        return {
            "protocolVersion": asked if asked in messages.HANDSHAKE_REVISIONS else messages.HANDSHAKE_REVISIONS[-1],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": self._server,
            "instructions": _INSTRUCTIONS,
        }

    async def _discover(self, message: Message, principal: Principal, headers: _Headers) -> dict[str, Any]:
        return {
            "supportedVersions": [*messages.HANDSHAKE_REVISIONS, *messages.MODERN_REVISIONS],
            "capabilities": {"tools": {}},
            "instructions": _INSTRUCTIONS,
            "ttlMs": 3_600_000,
            "cacheScope": "public",
            "_meta": {messages.SERVER_INFO: self._server},
        }

    async def _ping(self, message: Message, principal: Principal, headers: _Headers) -> dict[str, Any]:
        return {}

    async def _list_tools(self, message: Message, principal: Principal, headers: _Headers) -> dict[str, Any]:
        if message.params.get("cursor") is not None:
            raise McpError(messages.INVALID_PARAMS, "There is no such cursor: the list has one page.")
        offered = await self._tools.offered(principal.user_id, principal.scopes)
        return {"tools": [_described(tool) for tool in offered]}

    async def _list_tools_for_now(self, message: Message, principal: Principal, headers: _Headers) -> dict[str, Any]:
        # It changes with the release only, and is another for other scopes.
        return {**await self._list_tools(message, principal, headers), "ttlMs": 3_600_000, "cacheScope": "private"}

    async def _call_tool(self, message: Message, principal: Principal, headers: _Headers) -> dict[str, Any]:
        name, arguments = message.params.get("name"), message.params.get("arguments", {})
        offered = await self._tools.offered(principal.user_id, principal.scopes)
        if not isinstance(name, str) or all(name != tool.name for tool in offered):
            raise McpError(messages.INVALID_PARAMS, "There is no tool of this name, or the token lacks its scope.")
        if not isinstance(arguments, dict):
            raise McpError(messages.INVALID_PARAMS, "arguments is not an object.")
        call = ToolCall(
            user_id=principal.user_id,
            scopes=principal.scopes,
            tool_call_id=f"mcp_{uuid.uuid4().hex}",
            tool=name,
            arguments_json=_written(arguments),
            time_zone=_time_zone(headers),
        )
        # Whose model calls asks its user before: that is the host's part in the protocol.
        outcome = await self._tools.run(call, "chat.mcp.tool", place=0, approved=True)
        return {
            "content": [{"type": "text", "text": outcome.result_json}],
            "structuredContent": json.loads(outcome.result_json),
            "isError": outcome.failed,
        }


def _described(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.name.replace("_", " ").capitalize(),
        "description": tool.description,
        "inputSchema": dict(tool.parameters_schema),
        "annotations": {
            "readOnlyHint": tool.effect is ToolEffect.READ,
            "destructiveHint": tool.effect in {ToolEffect.DELETE, ToolEffect.EXTERNAL},
            "openWorldHint": tool.effect is ToolEffect.EXTERNAL,
        },
    }


def _time_zone(headers: _Headers) -> str:
    """What times without an offset mean."""
    name = headers.get(TIME_ZONE_HEADER, "")
    violations = Violations()
    check_time_zone(violations, name)
    try:
        violations.check()
    except StatusError as error:
        words = f"The header {TIME_ZONE_HEADER} must be the name of a time zone, like Europe/Berlin."
        raise McpError(messages.INVALID_PARAMS, words) from error
    return name or "UTC"


def _written(arguments: Mapping[str, Any]) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise McpError(messages.INVALID_PARAMS, "arguments holds half a character.") from error
    return text
