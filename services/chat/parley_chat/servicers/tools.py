"""ToolService: unpacks, checks, calls, packs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
from parley.chat.v1 import tool_service_pb2, tool_service_pb2_grpc
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain.tool_approvals import MOST_REASON_CHARACTERS, Decision
from parley_chat.domain.tool_uses import MOST_TOOL_CHARACTERS
from parley_chat.operations.tool_decisions import ToolDecisions
from parley_chat.ports.tool_approvals import ApprovalCursor
from parley_chat.servicers.tool_messages import pack_approval, pack_definition

PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST = 50, 100
PAGE_TOKEN_MOST = 512
TOOL_CALL_ID_MOST = 128
_TURN = "trn_"
_APPROVALS = "tool approvals"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56
"""The year 4253, which a datetime still holds."""

Context = grpc.aio.ServicerContext[object, object]


class ToolServicer(tool_service_pb2_grpc.ToolServiceServicer):
    """Serves tools, and what is asked about their calls, to their user."""

    def __init__(self, decisions: ToolDecisions) -> None:
        self._decisions = decisions

    async def ListTools(
        self, request: tool_service_pb2.ListToolsRequest, context: Context
    ) -> tool_service_pb2.ListToolsResponse:
        """Lists the tools."""
        principal = current_principal()
        tools = await self._decisions.tools(principal.user_id, principal.scopes)
        return tool_service_pb2.ListToolsResponse(tools=[pack_definition(tool) for tool in tools])

    async def ListToolApprovals(
        self, request: tool_service_pb2.ListToolApprovalsRequest, context: Context
    ) -> tool_service_pb2.ListToolApprovalsResponse:
        """Lists a page of what waits for the user."""
        list_name = f"{_APPROVALS} {request.turn_id}"
        violations = Violations()
        if request.turn_id:
            violations.identifier("turn_id", request.turn_id, _TURN)
        violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
        violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
        violations.check()
        after = _cursor(list_name, request.page_token)
        page, following = await self._decisions.pending(
            current_principal().user_id, request.turn_id, request.page_size or PAGE_SIZE_DEFAULT, after
        )
        token = ""
        if following:
            microseconds = (following.create_time - _EPOCH) // _MICROSECOND
            token = encode_page_token(list_name, [microseconds, following.tool_call_id])
        return tool_service_pb2.ListToolApprovalsResponse(
            approvals=[pack_approval(each) for each in page], next_page_token=token
        )

    async def ApproveToolCall(
        self, request: tool_service_pb2.ApproveToolCallRequest, context: Context
    ) -> tool_service_pb2.ApproveToolCallResponse:
        """Lets a call run."""
        violations = _named(request)
        violations.text("arguments_json", request.arguments_json, most=MOST_TOOL_CHARACTERS)
        violations.check()
        principal = current_principal()
        approval = await self._decisions.decide(
            principal.user_id,
            principal.scopes,
            request.turn_id,
            request.tool_call_id,
            Decision(approves=True, arguments_json=request.arguments_json),
        )
        return tool_service_pb2.ApproveToolCallResponse(approval=pack_approval(approval))

    async def DenyToolCall(
        self, request: tool_service_pb2.DenyToolCallRequest, context: Context
    ) -> tool_service_pb2.DenyToolCallResponse:
        """Refuses a call."""
        violations = _named(request)
        violations.stored_text("reason", request.reason, most=MOST_REASON_CHARACTERS)
        violations.check()
        principal = current_principal()
        approval = await self._decisions.decide(
            principal.user_id,
            principal.scopes,
            request.turn_id,
            request.tool_call_id,
            Decision(approves=False, reason=request.reason.strip()),
        )
        return tool_service_pb2.DenyToolCallResponse(approval=pack_approval(approval))


def _named(request: tool_service_pb2.ApproveToolCallRequest | tool_service_pb2.DenyToolCallRequest) -> Violations:
    violations = Violations()
    violations.identifier("turn_id", request.turn_id, _TURN)
    violations.text("tool_call_id", request.tool_call_id, least=1, most=TOOL_CALL_ID_MOST)
    if not request.tool_call_id.isprintable():
        violations.add("tool_call_id", "must not hold control characters")
    return violations


def _cursor(list_name: str, page_token: str) -> ApprovalCursor | None:
    """The page's beginning; None for the first page."""
    match decode_page_token(list_name, page_token):
        case None:
            return None
        case [int(microseconds), str(tool_call_id)] if 0 <= microseconds <= _MICROSECONDS_MOST:
            return ApprovalCursor(_EPOCH + microseconds * _MICROSECOND, tool_call_id)
        case _:
            raise invalid_page_token()
