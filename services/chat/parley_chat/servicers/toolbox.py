"""The toolbox of models, run with the rights of the user: rpcs of the workspace, and the search in documents.

In a turn, a change and the note that it ran are one transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from parley.workspace.v1 import task_service_pb2
from parley_shared.access import access_rules
from parley_shared.status import StatusError

from parley_chat.domain.errors import KnowledgeUnavailableError
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.toolbox import ToolCall, ToolDefinition, ToolOutcome
from parley_chat.ports.workspace import Workspaces
from parley_chat.servicers import document_tool, tasks
from parley_chat.servicers.status import to_status_error
from parley_chat.servicers.tasks import Call
from parley_chat.servicers.tool_schemas import ArgumentsError, comments, fill, schema_of

_TASKS = "parley.workspace.v1.TaskService"


@dataclass(frozen=True, slots=True)
class _Tool:
    """An rpc that models reach."""

    rpc: str
    """Its full name, for example `parley.workspace.v1.TaskService.CreateTask`."""
    request: type[Message]
    handle: Callable[[Call, Any], Awaitable[Message]]
    scope: str
    reads: bool
    definition: ToolDefinition


def _tool(service: str, request: type[Message], handle: Callable[[Call, Any], Awaitable[Message]]) -> _Tool:
    name = request.DESCRIPTOR.name.removesuffix("Request")
    rule = access_rules()[f"/{service}/{name}"]
    definition = ToolDefinition(
        name=re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(),
        description=comments()[f"{service}.{name}"],
        parameters_schema=schema_of(request),
    )
    return _Tool(f"{service}.{name}", request, handle, rule.scope, rule.reads, definition)


class ParleyToolbox:
    """The port `Toolbox`."""

    def __init__(
        self, workspaces: Workspaces, days: RuleDays, knowledge: Knowledge, now: Callable[[], datetime]
    ) -> None:
        self._workspaces = workspaces
        self._days = days
        self._knowledge = knowledge
        self._now = now
        tools = (
            _tool(_TASKS, task_service_pb2.CreateTaskRequest, tasks.create_task),
            _tool(_TASKS, task_service_pb2.ListTasksRequest, tasks.list_tasks),
            _tool(_TASKS, task_service_pb2.UpdateTaskRequest, tasks.update_task),
            _tool(_TASKS, task_service_pb2.CompleteTaskRequest, tasks.complete_task),
            _tool(_TASKS, task_service_pb2.ReopenTaskRequest, tasks.reopen_task),
            _tool(_TASKS, task_service_pb2.DeleteTaskRequest, tasks.delete_task),
        )
        self._tools: Mapping[str, _Tool] = MappingProxyType({tool.definition.name: tool for tool in tools})

    def offered(self, scopes: Collection[str]) -> tuple[ToolDefinition, ...]:
        """The tools whose rpcs the token may call."""
        offered = [tool.definition for tool in self._tools.values() if tool.scope in scopes]
        if document_tool.SCOPE in scopes:
            offered.append(document_tool.DEFINITION)
        return tuple(offered)

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call; see the port."""
        try:
            if call.tool == document_tool.DEFINITION.name and document_tool.SCOPE in call.scopes:
                return _succeeded(await document_tool.search_documents(self._knowledge, call))
            tool = self._tools.get(call.tool)
            if tool is None or tool.scope not in call.scopes:
                return _failed("ERROR_REASON_RESOURCE_NOT_FOUND", "There is no tool of this name.")
            return await self._run_rpc(tool, call)
        except KnowledgeUnavailableError:
            return _failed("ERROR_REASON_SERVICE_UNAVAILABLE", "The documents cannot be searched right now.")
        except ArgumentsError as error:
            return _failed("ERROR_REASON_INVALID_FIELD", error.words)
        except StatusError as error:
            return _failed(error.reason, error.message)
        except Exception as error:
            known = to_status_error(error)
            if known is None:
                raise
            return _failed(known.reason, known.message)

    async def _run_rpc(self, tool: _Tool, call: ToolCall) -> ToolOutcome:
        request = fill(tool.request(), call.arguments_json, call.time_zone)
        if tool.reads:
            async with self._workspaces.read(call.user_id) as workspace:
                return _outcome(await tool.handle(Call(workspace, self._days, self._now(), call.turn_id), request))
        async with self._workspaces.change(call.user_id) as workspace:
            before = await workspace.tool_runs.find(call.turn_id, call.tool_call_id) if call.turn_id else None
            if before is not None:
                return before
            now = self._now()
            outcome = _outcome(await tool.handle(Call(workspace, self._days, now, call.turn_id), request))
            if call.turn_id:
                await workspace.tool_runs.keep(call.turn_id, call.tool_call_id, outcome, now)
            return outcome


def _outcome(response: Message) -> ToolOutcome:
    return _succeeded(json_format.MessageToDict(response, preserving_proto_field_name=True))


def _succeeded(result: dict[str, Any]) -> ToolOutcome:
    return ToolOutcome(json.dumps(result, ensure_ascii=False))


def _failed(reason: str, words: str) -> ToolOutcome:
    return ToolOutcome(json.dumps({"error": {"reason": reason, "message": words}}, ensure_ascii=False), failed=True)
