"""Projects between the contract and the domain: bounds, packing and unpacking. The bounds are the contract's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from parley.workspace.v1 import project_pb2, project_service_pb2
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.validation import Violations

from parley_chat.domain.projects import PROJECT_PREFIX, Project, ProjectCounts
from parley_chat.operations.projects import NewProject, ProjectChanges
from parley_chat.ports.project_store import ProjectCursor

TITLE_MOST = 200
DESCRIPTION_MOST = 2_000
INSTRUCTIONS_MOST = 8_000
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 100, 512

_CHANGEABLE = ("title", "description", "instructions", "archived")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def new_project(request: project_service_pb2.CreateProjectRequest) -> NewProject:
    """Checks and unpacks the request for a new project."""
    violations = Violations()
    violations.line("title", request.title, least=1, most=TITLE_MOST, not_blank=True)
    violations.stored_text("description", request.description, most=DESCRIPTION_MOST)
    violations.stored_text("instructions", request.instructions, most=INSTRUCTIONS_MOST)
    violations.check()
    return NewProject(request.title.strip(), request.description, request.instructions)


def changes_of(request: project_service_pb2.UpdateProjectRequest) -> ProjectChanges:
    """Checks the request to change a project, and gives what it changes."""
    violations = Violations()
    violations.identifier("project_id", request.project_id, PROJECT_PREFIX)
    paths = violations.changed_fields(request, _CHANGEABLE)
    changes: ProjectChanges = {}
    if "title" in paths:
        violations.line("title", request.title, least=1, most=TITLE_MOST, not_blank=True)
        changes["title"] = request.title.strip()
    if "description" in paths:
        violations.stored_text("description", request.description, most=DESCRIPTION_MOST)
        changes["description"] = request.description
    if "instructions" in paths:
        violations.stored_text("instructions", request.instructions, most=INSTRUCTIONS_MOST)
        changes["instructions"] = request.instructions
    if "archived" in paths:
        changes["archived"] = request.archived
    violations.check()
    return changes


def page_of(request: project_service_pb2.ListProjectsRequest) -> tuple[int, ProjectCursor | None]:
    """Checks the request for a list, and gives how many it asks for and the project that the page comes after."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    violations.check()
    return request.page_size or PAGE_SIZE_DEFAULT, _cursor(_list_name(request), request.page_token)


def next_page_token(request: project_service_pb2.ListProjectsRequest, cursor: ProjectCursor | None) -> str:
    """The page token that asks for what comes after; empty when nothing does."""
    if cursor is None:
        return ""
    return encode_page_token(_list_name(request), [(cursor.update_time - _EPOCH) // _MICROSECOND, cursor.project_id])


def check_project_id(project_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names `project_id`."""
    violations = Violations()
    violations.identifier("project_id", project_id, PROJECT_PREFIX)
    violations.check()


def pack_project(project: Project, counts: ProjectCounts | None = None) -> project_pb2.Project:
    """Packs a project, with how much belongs to it when that is known."""
    packed = project_pb2.Project(
        project_id=project.project_id,
        title=project.title,
        description=project.description,
        instructions=project.instructions,
        archived=project.archived,
        session_count=counts.sessions if counts else 0,
        open_task_count=counts.open_tasks if counts else 0,
    )
    packed.create_time.FromDatetime(project.create_time)
    packed.update_time.FromDatetime(project.update_time)
    return packed


def _list_name(request: project_service_pb2.ListProjectsRequest) -> str:
    return f"projects {request.include_archived}"


def _cursor(list_name: str, page_token: str) -> ProjectCursor | None:
    match decode_page_token(list_name, page_token):
        case None:
            return None
        case [int(changed), str(project_id)] if 0 <= changed < 1 << 56:
            return ProjectCursor(_EPOCH + changed * _MICROSECOND, project_id)
        case _:
            raise invalid_page_token()
