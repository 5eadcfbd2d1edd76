"""The index in which what chat owns can be found, and how far it has been told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IndexItem:
    """Something that can be found."""

    item_type: str
    item_id: str
    version: int
    """Grows with each change of it."""
    title: str
    text: str
    project: str
    update_time: datetime


@dataclass(frozen=True, slots=True)
class DeletedItem:
    """Something that can no longer be found."""

    item_type: str
    item_id: str
    version: int


class SearchIndex(Protocol):
    """Takes what is to be found. Both calls may be repeated: an older version never takes the place of a newer one."""

    async def put(self, user_id: str, items: Sequence[IndexItem]) -> None:
        """Puts items, at most 100. Raises KnowledgeUnavailableError."""
        ...

    async def delete(self, user_id: str, items: Sequence[DeletedItem]) -> None:
        """Takes items out, at most 100. Raises KnowledgeUnavailableError."""
        ...


class IndexCursors(Protocol):
    """How far the index has been told of each user's events."""

    async def cursor(self, user_id: str) -> int:
        """The place of the last event that the index knows; 0 when it knows none."""
        ...

    async def behind(self, limit: int) -> Sequence[str]:
        """Users who have events that the index does not know, at most `limit`."""
        ...

    async def move(self, user_id: str, sequence: int) -> None:
        """The index knows the events up to this place. Never moves back."""
        ...
