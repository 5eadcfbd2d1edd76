"""The tools by which models keep the user's tasks: rpcs of TaskService."""

from __future__ import annotations

from parley.workspace.v1 import task_service_pb2

from parley_chat.servicers import tasks
from parley_chat.servicers.rpc_tools import RpcTool, rpc_tool

_TASKS = "parley.workspace.v1.TaskService"


def task_tools() -> tuple[RpcTool, ...]:
    """All of them."""
    return (
        rpc_tool(_TASKS, task_service_pb2.CreateTaskRequest, tasks.create_task),
        rpc_tool(_TASKS, task_service_pb2.ListTasksRequest, tasks.list_tasks),
        rpc_tool(_TASKS, task_service_pb2.UpdateTaskRequest, tasks.update_task),
        rpc_tool(_TASKS, task_service_pb2.CompleteTaskRequest, tasks.complete_task),
        rpc_tool(_TASKS, task_service_pb2.ReopenTaskRequest, tasks.reopen_task),
        rpc_tool(_TASKS, task_service_pb2.DeleteTaskRequest, tasks.delete_task),
    )
