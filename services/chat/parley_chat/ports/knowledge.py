"""Where passages come from."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.conversation import Citation


class Knowledge(Protocol):
    """Searches what a user may read."""

    async def search(
        self, user_id: str, query: str, limit: int, project: str = "", *, documents_only: bool = False
    ) -> tuple[Citation, ...]:
        """Finds passages, best first, numbered from 1; only in documents of the project when one is named.

        `documents_only` leaves out what chat itself owns, such as tasks. Raises KnowledgeUnavailableError.
        """
        ...
