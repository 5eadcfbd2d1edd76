"""Packs tools, and the user's consent to their calls, into the contract's messages."""

from __future__ import annotations

import json
from collections.abc import Mapping

from parley.chat.v1 import tool_pb2

from parley_chat.domain.tool_approvals import ApprovalState, ToolApproval, ToolEffect
from parley_chat.ports.toolbox import ToolDefinition

EFFECTS = {
    ToolEffect.READ: tool_pb2.TOOL_EFFECT_READ,
    ToolEffect.WRITE: tool_pb2.TOOL_EFFECT_WRITE,
    ToolEffect.DELETE: tool_pb2.TOOL_EFFECT_DELETE,
    ToolEffect.EXTERNAL: tool_pb2.TOOL_EFFECT_EXTERNAL,
}
APPROVAL_STATES = {
    None: tool_pb2.TOOL_APPROVAL_STATE_UNSPECIFIED,
    ApprovalState.PENDING: tool_pb2.TOOL_APPROVAL_STATE_PENDING,
    ApprovalState.APPROVED: tool_pb2.TOOL_APPROVAL_STATE_APPROVED,
    ApprovalState.DENIED: tool_pb2.TOOL_APPROVAL_STATE_DENIED,
    ApprovalState.EXPIRED: tool_pb2.TOOL_APPROVAL_STATE_EXPIRED,
    ApprovalState.CLOSED: tool_pb2.TOOL_APPROVAL_STATE_CLOSED,
}


def pack_definition(tool: ToolDefinition) -> tool_pb2.Tool:
    """Packs a tool."""
    return tool_pb2.Tool(
        name=tool.name,
        description=tool.description,
        parameters_schema_json=json.dumps(_plain(tool.parameters_schema), ensure_ascii=False),
        scope=tool.scope,
        effect=EFFECTS[tool.effect],
        needs_approval=bool(tool.needs_approval),
    )


def pack_approval(approval: ToolApproval) -> tool_pb2.ToolApproval:
    """Packs what a user is asked about a call."""
    packed = tool_pb2.ToolApproval(
        tool_call_id=approval.tool_call_id,
        turn_id=approval.turn_id,
        session_id=approval.session_id,
        tool=approval.tool,
        effect=EFFECTS[approval.effect],
        arguments_json=approval.arguments_json,
        state=APPROVAL_STATES[approval.state],
        edited_arguments_json=approval.edited_arguments_json,
        reason=approval.reason,
    )
    packed.create_time.FromDatetime(approval.create_time)
    packed.expire_time.FromDatetime(approval.expire_time)
    if approval.decide_time:
        packed.decide_time.FromDatetime(approval.decide_time)
    return packed


def _plain(schema: object) -> object:
    """The same of types that JSON knows: schemas that nobody may change are read-only mappings."""
    if isinstance(schema, Mapping):
        return {name: _plain(value) for name, value in schema.items()}
    if isinstance(schema, list | tuple):
        return [_plain(value) for value in schema]
    return schema
