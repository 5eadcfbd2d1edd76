"""Tools that are rpcs of a user's workspace, run with the rights of the user. Which rpcs those are is said by who makes the source.

In a turn, a change and the note that it ran are one transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from parley_shared.access import access_rules
from parley_shared.status import StatusError

from parley_chat.domain.tool_approvals import ToolEffect
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.toolbox import ToolCall, ToolDefinition, ToolOutcome
from parley_chat.ports.workspace import Workspace, Workspaces
from parley_chat.servicers.status import to_status_error
from parley_chat.servicers.tasks import Call
from parley_chat.servicers.tool_schemas import ArgumentsError, comments, fill, schema_of


@dataclass(frozen=True, slots=True)
class RpcTool:
    """An rpc that models reach."""

    request: type[Message]
    handle: Callable[[Call, Any], Awaitable[Message]]
    definition: ToolDefinition


def rpc_tool(
    service: str,
    request: type[Message],
    handle: Callable[[Call, Any], Awaitable[Message]],
    effect: ToolEffect | None = None,
) -> RpcTool:
    """Makes a tool of an rpc: its name, words, schema and scope are the contract's. So is its effect, unless `effect` says another one.

    `service` is the full name, for example `parley.workspace.v1.TaskService`.
    """
    name = request.DESCRIPTOR.name.removesuffix("Request")
    rule = access_rules()[f"/{service}/{name}"]
    if effect is None:
        changes = ToolEffect.DELETE if name.startswith("Delete") else ToolEffect.WRITE
        effect = ToolEffect.READ if rule.reads else changes
    definition = ToolDefinition(
        name=re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(),
        description=comments()[f"{service}.{name}"],
        parameters_schema=schema_of(request),
        scope=rule.scope,
        effect=effect,
    )
    return RpcTool(request, handle, definition)


class RpcTools:
    """The port `ToolSource`, of rpcs whose handlers work on a workspace."""

    def __init__(
        self, tools: Sequence[RpcTool], workspaces: Workspaces, days: RuleDays, now: Callable[[], datetime]
    ) -> None:
        self._workspaces = workspaces
        self._days = days
        self._now = now
        self._tools: Mapping[str, RpcTool] = MappingProxyType({tool.definition.name: tool for tool in tools})
        self._definitions = tuple(tool.definition for tool in tools)

    async def tools(self, user_id: str) -> Sequence[ToolDefinition]:
        """All of them: everybody has the same."""
        return self._definitions

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call; see the port."""
        return await run_guarded(lambda: self._run(self._tools[call.tool], call))

    async def _run(self, tool: RpcTool, call: ToolCall) -> ToolOutcome:
        request = fill(tool.request(), call.arguments_json, call.time_zone)
        if tool.definition.effect is ToolEffect.READ:
            async with self._workspaces.read(call.user_id) as workspace:
                return _outcome(await tool.handle(self._call(workspace, call, self._now()), request))
        async with self._workspaces.change(call.user_id) as workspace:
            before = await workspace.tool_runs.find(call.turn_id, call.tool_call_id) if call.turn_id else None
            if before is not None:
                return before
            now = self._now()
            outcome = _outcome(await tool.handle(self._call(workspace, call, now), request))
            if call.turn_id:
                await workspace.tool_runs.keep(call.turn_id, call.tool_call_id, outcome, now)
            return outcome

    def _call(self, workspace: Workspace, call: ToolCall, now: datetime) -> Call:
        # Without a turn, the project is where documents are searched, a label, and says nothing of tasks.
        return Call(workspace, self._days, now, call.turn_id, call.project if call.turn_id else "")


async def run_guarded(run: Callable[[], Awaitable[ToolOutcome]]) -> ToolOutcome:
    """Runs a tool; what the user or the model did wrong becomes an outcome that failed. Raises what nobody expected."""
    try:
        return await run()
    except ArgumentsError as error:
        return failed("ERROR_REASON_INVALID_FIELD", error.words)
    except StatusError as error:
        return failed(error.reason, error.message)
    except Exception as error:
        known = to_status_error(error)
        if known is None:
            raise
        return failed(known.reason, known.message)


def succeeded(result: Mapping[str, Any]) -> ToolOutcome:
    """An outcome with a result."""
    return ToolOutcome(json.dumps(result, ensure_ascii=False))


def failed(reason: str, words: str) -> ToolOutcome:
    """An outcome that failed, and why: a name of `parley.errors.v1.ErrorReason`, and words for the model."""
    return ToolOutcome(json.dumps({"error": {"reason": reason, "message": words}}, ensure_ascii=False), failed=True)


def _outcome(response: Message) -> ToolOutcome:
    return succeeded(json_format.MessageToDict(response, preserving_proto_field_name=True))
