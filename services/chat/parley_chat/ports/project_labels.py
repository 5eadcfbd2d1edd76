"""Documents that name a project."""

from __future__ import annotations

from typing import Protocol


class ProjectLabels(Protocol):
    """What documents say of their project, where documents are kept."""

    async def clear(self, user_id: str, project_id: str) -> None:
        """Lets all documents of the user that name the project name none. May be repeated. Raises KnowledgeUnavailableError."""
        ...
