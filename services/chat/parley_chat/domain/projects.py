"""Projects: what belongs together. Not where they are kept, and not what belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

MOST_PROJECTS = 1000

PROJECT_PREFIX = "prj_"


@dataclass(frozen=True, slots=True)
class Project:
    """Something that sessions, tasks and documents of its user belong to."""

    project_id: str
    title: str
    description: str
    """For people."""
    instructions: str
    """What models are told in its sessions."""
    archived: bool
    create_time: datetime
    update_time: datetime
    """When one of these fields last changed."""


@dataclass(frozen=True, slots=True)
class ProjectCounts:
    """How much belongs to a project."""

    sessions: int = 0
    open_tasks: int = 0


class TooManyProjectsError(Exception):
    """The user has as many projects as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many projects")
        self.limit = limit


def new_project_id() -> str:
    """Names a project."""
    return f"{PROJECT_PREFIX}{uuid4().hex}"


def is_project_id(label: str) -> bool:
    """Whether what a task says of its project is meant as a project's id. All else is a label, and means what its user likes."""
    return label.startswith(PROJECT_PREFIX)


def brief_of(project: Project) -> str:
    """What a model is told of the project that a conversation belongs to. Its user wrote the instructions: they are no material."""
    brief = (
        f"This conversation belongs to the user's project {project.title!r}, whose id is {project.project_id}. "
        "The passages that are given, and the documents that tools search, are those of the project; a task that you make belongs to it "
        "unless another project is named."
    )
    if not project.instructions.strip():
        return brief
    return f"{brief} The user's instructions for all conversations of the project:\n{project.instructions.strip()}"
