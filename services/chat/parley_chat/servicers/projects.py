"""ProjectService: unpacks, checks, calls, packs. Two of the functions serve the tools of models too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import grpc
from parley.workspace.v1 import project_service_pb2 as pb
from parley.workspace.v1 import project_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.operations import projects
from parley_chat.ports.workspace import Workspace, Workspaces
from parley_chat.servicers import project_fields

Context = grpc.aio.ServicerContext[object, object]


async def create_project(
    workspace: Workspace, request: pb.CreateProjectRequest, now: datetime, turn_id: str = ""
) -> pb.CreateProjectResponse:
    """Makes a project; `turn_id` names the turn whose model does."""
    created = await projects.create_project(workspace, project_fields.new_project(request), now, turn_id)
    return pb.CreateProjectResponse(project=project_fields.pack_project(*created))


async def list_projects(workspace: Workspace, request: pb.ListProjectsRequest) -> pb.ListProjectsResponse:
    """Lists a page of projects."""
    size, after = project_fields.page_of(request)
    page, following = await projects.list_projects(workspace, size, after, archived=request.include_archived)
    return pb.ListProjectsResponse(
        projects=[project_fields.pack_project(*each) for each in page],
        next_page_token=project_fields.next_page_token(request, following),
    )


class ProjectServicer(project_service_pb2_grpc.ProjectServiceServicer):
    """Serves projects to their user, each call in one transaction."""

    def __init__(self, workspaces: Workspaces, now: Callable[[], datetime]) -> None:
        self._workspaces = workspaces
        self._now = now

    async def CreateProject(self, request: pb.CreateProjectRequest, context: Context) -> pb.CreateProjectResponse:
        """Makes a project."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await create_project(workspace, request, self._now())

    async def ListProjects(self, request: pb.ListProjectsRequest, context: Context) -> pb.ListProjectsResponse:
        """Lists a page of projects."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            return await list_projects(workspace, request)

    async def GetProject(self, request: pb.GetProjectRequest, context: Context) -> pb.GetProjectResponse:
        """Gets a project."""
        project_fields.check_project_id(request.project_id)
        async with self._workspaces.read(current_principal().user_id) as workspace:
            found = await projects.get_project(workspace, request.project_id)
        return pb.GetProjectResponse(project=project_fields.pack_project(*found))

    async def UpdateProject(self, request: pb.UpdateProjectRequest, context: Context) -> pb.UpdateProjectResponse:
        """Changes a project."""
        changes = project_fields.changes_of(request)
        async with self._workspaces.change(current_principal().user_id) as workspace:
            changed = await projects.update_project(workspace, request.project_id, changes, self._now(), "")
        return pb.UpdateProjectResponse(project=project_fields.pack_project(*changed))

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: Context) -> pb.DeleteProjectResponse:
        """Deletes a project."""
        project_fields.check_project_id(request.project_id)
        async with self._workspaces.change(current_principal().user_id) as workspace:
            await projects.delete_project(workspace, request.project_id, self._now(), "")
        return pb.DeleteProjectResponse()
