"""Tools of models, and the user's consent to their calls: `parley.chat.v1.ToolService`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from parley.chat.v1 import tool_pb2
from parley.chat.v1 import tool_service_pb2 as pb

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["ToolService"]
LIST_TOOLS = Rpc(_SERVICE, "ListTools", pb.ListToolsRequest, pb.ListToolsResponse)
LIST_TOOL_APPROVALS = Rpc(_SERVICE, "ListToolApprovals", pb.ListToolApprovalsRequest, pb.ListToolApprovalsResponse)
APPROVE_TOOL_CALL = Rpc(_SERVICE, "ApproveToolCall", pb.ApproveToolCallRequest, pb.ApproveToolCallResponse)
DENY_TOOL_CALL = Rpc(_SERVICE, "DenyToolCall", pb.DenyToolCallRequest, pb.DenyToolCallResponse)


class Tools:
    """`client.tools`: what models may use, and what waits for the user's word. Raises ParleyError; NotFoundError for another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> list[tool_pb2.Tool]:
        """The tools that this token lets models use."""
        return list((await self._connection.call(LIST_TOOLS, pb.ListToolsRequest())).tools)

    def pending(self, *, turn_id: str = "", page_size: int = 0) -> AsyncIterator[tool_pb2.ToolApproval]:
        """The calls that wait for the user's decision, the oldest first; of one turn, or of all."""

        async def page(token: str) -> pb.ListToolApprovalsResponse:
            request = pb.ListToolApprovalsRequest(turn_id=turn_id, page_size=page_size, page_token=token)
            return await self._connection.call(LIST_TOOL_APPROVALS, request)

        return items_of_pages(page, lambda response: response.approvals)

    async def approve(self, turn_id: str, tool_call_id: str, *, arguments_json: str = "") -> tool_pb2.ToolApproval:
        """Lets a call run, as it is or with other arguments, a JSON object that fits the tool. The same again is harmless.

        FailedPreconditionError when it was decided otherwise or is no longer asked for, InvalidArgumentError for arguments that do not
        fit, PermissionDeniedError when the token lacks the tool's own scope.
        """
        request = pb.ApproveToolCallRequest(turn_id=turn_id, tool_call_id=tool_call_id, arguments_json=arguments_json)
        return (await self._connection.call(APPROVE_TOOL_CALL, request)).approval

    async def deny(self, turn_id: str, tool_call_id: str, *, reason: str = "") -> tool_pb2.ToolApproval:
        """Refuses a call; the model is told the reason. The same again is harmless.

        FailedPreconditionError when it was approved, or is no longer asked for.
        """
        request = pb.DenyToolCallRequest(turn_id=turn_id, tool_call_id=tool_call_id, reason=reason)
        return (await self._connection.call(DENY_TOOL_CALL, request)).approval
