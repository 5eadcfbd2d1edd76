"""TaskService: unpacks, checks, calls, packs. The same functions serve the rpcs and the tools of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import grpc
from parley.workspace.v1 import task_service_pb2, task_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.operations import projects, tasks
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.workspace import Workspace, Workspaces
from parley_chat.servicers import task_fields

Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True, slots=True)
class Call:
    """A call within a transaction, of an rpc or of a tool."""

    workspace: Workspace
    days: RuleDays
    now: datetime
    turn_id: str = ""
    """The turn whose model calls; empty when the user does."""
    project: str = ""
    """The project of the turn's session: where a new task belongs when nobody says; empty for none."""


async def create_task(call: Call, request: task_service_pb2.CreateTaskRequest) -> task_service_pb2.CreateTaskResponse:
    """Makes a task."""
    new = task_fields.new_task(request)
    if not new.project:
        new = replace(new, project=await projects.kept_project(call.workspace, call.project))
    task = await tasks.create_task(call.workspace, call.days, new, call.now, call.turn_id)
    return task_service_pb2.CreateTaskResponse(task=task_fields.pack_task(task))


async def list_tasks(call: Call, request: task_service_pb2.ListTasksRequest) -> task_service_pb2.ListTasksResponse:
    """Lists a page of tasks."""
    page, following = await tasks.list_tasks(call.workspace, *task_fields.task_filter(request))
    return task_service_pb2.ListTasksResponse(
        tasks=[task_fields.pack_task(task) for task in page],
        next_page_token=task_fields.next_page_token(request, following),
    )


async def get_task(call: Call, request: task_service_pb2.GetTaskRequest) -> task_service_pb2.GetTaskResponse:
    """Gets one task."""
    task_fields.check_task_id(request.task_id)
    task = await call.workspace.tasks.get(request.task_id)
    return task_service_pb2.GetTaskResponse(task=task_fields.pack_task(task))


async def update_task(call: Call, request: task_service_pb2.UpdateTaskRequest) -> task_service_pb2.UpdateTaskResponse:
    """Changes a task."""
    changes = task_fields.changes_of(request)
    task = await tasks.update_task(call.workspace, call.days, request.task_id, changes, call.now, call.turn_id)
    return task_service_pb2.UpdateTaskResponse(task=task_fields.pack_task(task))


async def complete_task(
    call: Call, request: task_service_pb2.CompleteTaskRequest
) -> task_service_pb2.CompleteTaskResponse:
    """Marks a task as done."""
    task_fields.check_task_id(request.task_id)
    task, following = await tasks.complete_task(call.workspace, call.days, request.task_id, call.now, call.turn_id)
    return task_service_pb2.CompleteTaskResponse(
        task=task_fields.pack_task(task), next_task=task_fields.pack_task(following) if following else None
    )


async def reopen_task(call: Call, request: task_service_pb2.ReopenTaskRequest) -> task_service_pb2.ReopenTaskResponse:
    """Opens a task again."""
    task_fields.check_task_id(request.task_id)
    task = await tasks.reopen_task(call.workspace, request.task_id, call.now, call.turn_id)
    return task_service_pb2.ReopenTaskResponse(task=task_fields.pack_task(task))


async def delete_task(call: Call, request: task_service_pb2.DeleteTaskRequest) -> task_service_pb2.DeleteTaskResponse:
    """Deletes a task."""
    task_fields.check_task_id(request.task_id)
    await tasks.delete_task(call.workspace, request.task_id, call.turn_id)
    return task_service_pb2.DeleteTaskResponse()


class TaskServicer(task_service_pb2_grpc.TaskServiceServicer):
    """Serves tasks to their user, each call in one transaction."""

    def __init__(self, workspaces: Workspaces, days: RuleDays, now: Callable[[], datetime]) -> None:
        self._workspaces = workspaces
        self._days = days
        self._now = now

    async def CreateTask(
        self, request: task_service_pb2.CreateTaskRequest, context: Context
    ) -> task_service_pb2.CreateTaskResponse:
        """Makes a task."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await create_task(Call(workspace, self._days, self._now()), request)

    async def ListTasks(
        self, request: task_service_pb2.ListTasksRequest, context: Context
    ) -> task_service_pb2.ListTasksResponse:
        """Lists a page of tasks."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            return await list_tasks(Call(workspace, self._days, self._now()), request)

    async def GetTask(
        self, request: task_service_pb2.GetTaskRequest, context: Context
    ) -> task_service_pb2.GetTaskResponse:
        """Gets one task."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            return await get_task(Call(workspace, self._days, self._now()), request)

    async def UpdateTask(
        self, request: task_service_pb2.UpdateTaskRequest, context: Context
    ) -> task_service_pb2.UpdateTaskResponse:
        """Changes a task."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await update_task(Call(workspace, self._days, self._now()), request)

    async def CompleteTask(
        self, request: task_service_pb2.CompleteTaskRequest, context: Context
    ) -> task_service_pb2.CompleteTaskResponse:
        """Marks a task as done."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await complete_task(Call(workspace, self._days, self._now()), request)

    async def ReopenTask(
        self, request: task_service_pb2.ReopenTaskRequest, context: Context
    ) -> task_service_pb2.ReopenTaskResponse:
        """Opens a task again."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await reopen_task(Call(workspace, self._days, self._now()), request)

    async def DeleteTask(
        self, request: task_service_pb2.DeleteTaskRequest, context: Context
    ) -> task_service_pb2.DeleteTaskResponse:
        """Deletes a task."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await delete_task(Call(workspace, self._days, self._now()), request)
