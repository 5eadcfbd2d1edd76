"""What can be done with projects, each within the transaction of its caller. What moves in and out of one is done where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_project, changed_session, changed_task
from parley_chat.domain.projects import (
    MOST_PROJECTS,
    Project,
    ProjectCounts,
    TooManyProjectsError,
    is_project_id,
    new_project_id,
)
from parley_chat.ports.project_store import ProjectCursor
from parley_chat.ports.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NewProject:
    """What a new project is made of. Checked at the door."""

    title: str
    description: str
    instructions: str


class ProjectChanges(TypedDict, total=False):
    """The fields of a project that change, and what they become."""

    title: str
    description: str
    instructions: str
    archived: bool


CountedProject = tuple[Project, ProjectCounts]
"""A project and how much belongs to it."""


async def create_project(workspace: Workspace, new: NewProject, now: datetime, turn_id: str) -> CountedProject:
    """Makes a project; `turn_id` names the turn whose model does. Raises TooManyProjectsError."""
    if await workspace.projects.count() >= MOST_PROJECTS:
        raise TooManyProjectsError(MOST_PROJECTS)
    project = Project(
        new_project_id(), new.title, new.description, new.instructions, archived=False, create_time=now, update_time=now
    )
    await workspace.projects.add(project)
    workspace.tell(changed_project(Action.CREATED, project, turn_id))
    return project, ProjectCounts()


async def list_projects(
    workspace: Workspace, limit: int, after: ProjectCursor | None, *, archived: bool
) -> tuple[Sequence[CountedProject], ProjectCursor | None]:
    """A page of projects, and where the next one goes on; None when there is none."""
    found = await workspace.projects.page(limit + 1, after, archived=archived)
    page = found[:limit]
    counts = await workspace.projects.counts([project.project_id for project in page])
    following = ProjectCursor(page[-1].update_time, page[-1].project_id) if len(found) > limit else None
    return [(project, counts[project.project_id]) for project in page], following


async def get_project(workspace: Workspace, project_id: str) -> CountedProject:
    """Gets a project. Raises NotFoundError."""
    return await _counted(workspace, await workspace.projects.get(project_id))


async def update_project(
    workspace: Workspace, project_id: str, changes: ProjectChanges, now: datetime, turn_id: str
) -> CountedProject:
    """Changes a project. Raises NotFoundError."""
    before = await workspace.projects.get(project_id)
    after = replace(before, **changes)
    if after != before:
        after = replace(after, update_time=now)
        await workspace.projects.put(after)
        workspace.tell(changed_project(Action.UPDATED, after, turn_id))
    return await _counted(workspace, after)


async def delete_project(workspace: Workspace, project_id: str, now: datetime, turn_id: str) -> None:
    """Deletes a project for good, and moves its sessions and tasks out of it. Its documents are moved by who follows the events.

    Raises NotFoundError.
    """
    if not await workspace.projects.remove(project_id):
        raise NotFoundError("project")
    for session in await workspace.projects.release_sessions(project_id):
        workspace.tell(changed_session(Action.UPDATED, session))
    for task in await workspace.projects.release_tasks(project_id, now):
        workspace.tell(changed_task(Action.UPDATED, task, turn_id))
    # Last: whoever has seen it has seen that nothing belongs to the project any more.
    workspace.tell(Change(Action.DELETED, ResourceType.PROJECT, project_id, None, turn_id))


async def check_label(workspace: Workspace, label: str) -> None:
    """Raises NotFoundError when the project of a task is meant as an id and names none of the user's projects."""
    if is_project_id(label):
        await workspace.projects.get(label)


async def kept_project(workspace: Workspace, project_id: str) -> str:
    """The id again; empty when the project was deleted meanwhile."""
    try:
        return (await workspace.projects.get(project_id)).project_id if project_id else ""
    except NotFoundError:
        return ""


async def _counted(workspace: Workspace, project: Project) -> CountedProject:
    return project, (await workspace.projects.counts([project.project_id]))[project.project_id]
