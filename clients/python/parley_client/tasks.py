"""Tasks: `parley.workspace.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from parley.workspace.v1 import task_pb2
from parley.workspace.v1 import task_service_pb2 as pb

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

PriorityName: TypeAlias = Literal["low", "normal", "high"]
"""How much a task matters."""

_PRIORITIES: dict[str, task_pb2.TaskPriority.ValueType] = {
    "low": task_pb2.TASK_PRIORITY_LOW,
    "normal": task_pb2.TASK_PRIORITY_NORMAL,
    "high": task_pb2.TASK_PRIORITY_HIGH,
}

_SERVICE = pb.DESCRIPTOR.services_by_name["TaskService"]
CREATE_TASK = Rpc(_SERVICE, "CreateTask", pb.CreateTaskRequest, pb.CreateTaskResponse)
LIST_TASKS = Rpc(_SERVICE, "ListTasks", pb.ListTasksRequest, pb.ListTasksResponse)
GET_TASK = Rpc(_SERVICE, "GetTask", pb.GetTaskRequest, pb.GetTaskResponse)
UPDATE_TASK = Rpc(_SERVICE, "UpdateTask", pb.UpdateTaskRequest, pb.UpdateTaskResponse)
COMPLETE_TASK = Rpc(_SERVICE, "CompleteTask", pb.CompleteTaskRequest, pb.CompleteTaskResponse)
REOPEN_TASK = Rpc(_SERVICE, "ReopenTask", pb.ReopenTaskRequest, pb.ReopenTaskResponse)
DELETE_TASK = Rpc(_SERVICE, "DeleteTask", pb.DeleteTaskRequest, pb.DeleteTaskResponse)


class Tasks:
    """`client.tasks`: what the user wants to do. Raises ParleyError; NotFoundError for another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        title: str,
        *,
        notes: str = "",
        due_time: datetime | None = None,
        time_zone: str = "",
        priority: PriorityName = "normal",
        project: str = "",
        recurrence: str = "",
        remind_minutes_before: Iterable[int] = (),
    ) -> task_pb2.Task:
        """Makes a task. `due_time` needs an offset (ValueError without one); `time_zone` is the IANA name that it was meant in.

        `recurrence` is an RFC 5545 RRULE value like `FREQ=WEEKLY;BYDAY=MO`. A reminder is an event, so many minutes before the due time.
        """
        request = pb.CreateTaskRequest(
            title=title,
            notes=notes,
            time_zone=time_zone,
            priority=_PRIORITIES[priority],
            project=project,
            recurrence=recurrence,
            remind_minutes_before=remind_minutes_before,
        )
        if due_time is not None:
            if due_time.tzinfo is None:
                raise ValueError("due_time needs an offset from UTC")
            request.due_time.FromDatetime(due_time)
        return (await self._connection.call(CREATE_TASK, request)).task

    def list(
        self, *, include_completed: bool = False, project: str = "", page_size: int = 0
    ) -> AsyncIterator[task_pb2.Task]:
        """The user's tasks: those that are due first come first, then those that are not due, the newest first."""

        async def page(token: str) -> pb.ListTasksResponse:
            request = pb.ListTasksRequest(
                page_size=page_size, page_token=token, include_completed=include_completed, project=project
            )
            return await self._connection.call(LIST_TASKS, request)

        return items_of_pages(page, lambda response: response.tasks)

    async def get(self, task_id: str) -> task_pb2.Task:
        """One task."""
        return (await self._connection.call(GET_TASK, pb.GetTaskRequest(task_id=task_id))).task

    async def update(self, request: pb.UpdateTaskRequest) -> task_pb2.Task:
        """Changes the fields that the request's `update_mask` names, and returns the task as it is now."""
        return (await self._connection.call(UPDATE_TASK, request)).task

    async def complete(self, task_id: str) -> task_pb2.Task:
        """Marks a task as done, and returns it as it is now. When it recurs, its `next_task_id` names the task of the next occurrence."""
        return (await self._connection.call(COMPLETE_TASK, pb.CompleteTaskRequest(task_id=task_id))).task

    async def reopen(self, task_id: str) -> task_pb2.Task:
        """Opens a completed task again, and returns it as it is now."""
        return (await self._connection.call(REOPEN_TASK, pb.ReopenTaskRequest(task_id=task_id))).task

    async def delete(self, task_id: str) -> None:
        """Deletes a task for good."""
        await self._connection.call(DELETE_TASK, pb.DeleteTaskRequest(task_id=task_id))
