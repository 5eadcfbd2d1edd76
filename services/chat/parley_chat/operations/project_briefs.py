"""What a model is told of the project that a conversation belongs to."""

from __future__ import annotations

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.projects import brief_of
from parley_chat.ports.workspace import Workspaces


class ProjectBriefs:
    """Reads projects for answers."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def brief(self, user_id: str, project_id: str) -> str:
        """What to add to a model's instructions; empty without a project, and for one that was deleted meanwhile."""
        if not project_id:
            return ""
        async with self._workspaces.read(user_id) as workspace:
            try:
                return brief_of(await workspace.projects.get(project_id))
            except NotFoundError:
                return ""
