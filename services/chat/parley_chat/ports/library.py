"""What documents there are, and which parts they have. What they say to a question is knowledge.py's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.suggestions import DocumentPart, DocumentTitle


class Library(Protocol):
    """Knows the documents that a user may read. Raises KnowledgeUnavailableError."""

    async def documents(self, user_id: str, limit: int, project: str = "") -> Sequence[DocumentTitle]:
        """Lists documents, the user's own and the shared ones, or those of a project, the last changed first."""
        ...

    async def parts(
        self, user_id: str, query: str, limit: int, document_ids: Sequence[str] = (), project: str = ""
    ) -> Sequence[DocumentPart]:
        """Finds parts that fit words, best first; only of these documents, and of this project, when they are named."""
        ...
