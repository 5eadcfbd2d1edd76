"""Which content can be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.content import ContentOrder, ContentPrompt, ContentTemplate


class ContentTemplates(Protocol):
    """Keeps the templates of content. Raises GenerationError when inference does not answer."""

    async def templates(self, user_id: str) -> Sequence[ContentTemplate]:
        """Lists them, by name."""
        ...

    async def fill(self, user_id: str, order: ContentOrder) -> ContentPrompt:
        """Makes the prompt of an order; GenerationError with NOT_FOUND for its template, with INVALID_ARGUMENT for its values."""
        ...
