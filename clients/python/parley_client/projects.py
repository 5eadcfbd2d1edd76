"""Projects: `parley.workspace.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from parley.workspace.v1 import project_pb2
from parley.workspace.v1 import project_service_pb2 as pb

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["ProjectService"]
CREATE_PROJECT = Rpc(_SERVICE, "CreateProject", pb.CreateProjectRequest, pb.CreateProjectResponse)
LIST_PROJECTS = Rpc(_SERVICE, "ListProjects", pb.ListProjectsRequest, pb.ListProjectsResponse)
GET_PROJECT = Rpc(_SERVICE, "GetProject", pb.GetProjectRequest, pb.GetProjectResponse)
UPDATE_PROJECT = Rpc(_SERVICE, "UpdateProject", pb.UpdateProjectRequest, pb.UpdateProjectResponse)
DELETE_PROJECT = Rpc(_SERVICE, "DeleteProject", pb.DeleteProjectRequest, pb.DeleteProjectResponse)


class Projects:
    """`client.projects`: what sessions, tasks and documents belong to. Raises ParleyError; NotFoundError for another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, title: str, *, description: str = "", instructions: str = "") -> project_pb2.Project:
        """Makes a project. Models are told its instructions in every session of it."""
        request = pb.CreateProjectRequest(title=title, description=description, instructions=instructions)
        return (await self._connection.call(CREATE_PROJECT, request)).project

    def list(self, *, include_archived: bool = False, page_size: int = 0) -> AsyncIterator[project_pb2.Project]:
        """The user's projects, the last changed first."""

        async def page(token: str) -> pb.ListProjectsResponse:
            request = pb.ListProjectsRequest(page_size=page_size, page_token=token, include_archived=include_archived)
            return await self._connection.call(LIST_PROJECTS, request)

        return items_of_pages(page, lambda response: response.projects)

    async def get(self, project_id: str) -> project_pb2.Project:
        """One project."""
        return (await self._connection.call(GET_PROJECT, pb.GetProjectRequest(project_id=project_id))).project

    async def update(self, request: pb.UpdateProjectRequest) -> project_pb2.Project:
        """Changes the fields that the request's `update_mask` names, and returns the project as it is now."""
        return (await self._connection.call(UPDATE_PROJECT, request)).project

    async def delete(self, project_id: str) -> None:
        """Deletes a project for good. What belongs to it stays, and belongs to none."""
        await self._connection.call(DELETE_PROJECT, pb.DeleteProjectRequest(project_id=project_id))
