"""The log of what changed in what users own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from parley_chat.domain.events import Event, ResourceType


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events of a user."""

    events: Sequence[Event]
    """Oldest first."""
    newest: int
    """The place of the user's newest event, of any kind, in the same moment; 0 when there is none."""


class EventLog(Protocol):
    """Reads the log. Whoever changes something writes to it, in the same transaction."""

    async def page(self, user_id: str, after: int, limit: int, types: Collection[ResourceType]) -> EventPage:
        """The events behind a place, at most `limit`, of these kinds; of all when `types` is empty."""
        ...

    async def newest(self, user_ids: Collection[str]) -> Mapping[str, int]:
        """The places of the newest events of these users."""
        ...


class EventNews(Protocol):
    """Is told that a user has new events, when their transaction has ended."""

    def tell(self, user_id: str) -> None:
        """There may be new events. Never fails."""
        ...
