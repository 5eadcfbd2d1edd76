"""The tools by which models keep the user's projects: two rpcs of ProjectService. Changing and deleting one is left to its user."""

from __future__ import annotations

from parley.workspace.v1 import project_service_pb2

from parley_chat.servicers import projects
from parley_chat.servicers.rpc_tools import RpcTool, rpc_tool
from parley_chat.servicers.tasks import Call

_PROJECTS = "parley.workspace.v1.ProjectService"


def project_tools() -> tuple[RpcTool, ...]:
    """Both of them."""
    return (
        rpc_tool(_PROJECTS, project_service_pb2.CreateProjectRequest, _create_project),
        rpc_tool(_PROJECTS, project_service_pb2.ListProjectsRequest, _list_projects),
    )


async def _create_project(
    call: Call, request: project_service_pb2.CreateProjectRequest
) -> project_service_pb2.CreateProjectResponse:
    return await projects.create_project(call.workspace, request, call.now, call.turn_id)


async def _list_projects(
    call: Call, request: project_service_pb2.ListProjectsRequest
) -> project_service_pb2.ListProjectsResponse:
    return await projects.list_projects(call.workspace, request)
