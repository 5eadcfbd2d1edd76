"""Where the events of turns are kept while somebody may still ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.turn import TurnEvent, TurnEventBody


class TurnLogMissingError(Exception):
    """There is no log of this turn: it expired, or was never begun."""


class TurnLogReader(Protocol):
    """One reader's way through the log of one turn. Holds a place, not events."""

    @property
    def end_sequence(self) -> int:
        """The place of the last event of the log, as far as the reader knows; 0 for an empty log."""
        ...

    async def next(self) -> list[TurnEvent]:
        """Waits until there is something after the place, and returns it, at least one event, in order.

        Returns an empty list when the log was closed and nothing more will come. What piled up while the reader was
        away comes at once, within a bound, and is not merged.
        """
        ...

    def close(self) -> None:
        """Lets go of what the reader holds. It may be called twice."""
        ...


class TurnLogWriter(Protocol):
    """The one writer of a log."""

    @property
    def last_sequence(self) -> int:
        """The place of the last event; 0 while there is none."""
        ...

    async def append(self, bodies: Sequence[TurnEventBody]) -> None:
        """Gives the events the next places and keeps them; only then readers get them. Raises OSError when they cannot be kept."""
        ...

    async def close(self) -> None:
        """Says that no event will come from this writer. Readers get what is there and then the end."""
        ...


class TurnLog(Protocol):
    """Keeps the events of many turns."""

    async def open_writer(self, turn_id: str) -> TurnLogWriter:
        """Opens the log to write, behind the last whole event when there is one already."""
        ...

    async def open_reader(self, turn_id: str, after_sequence: int) -> TurnLogReader:
        """Opens the log to read after a place, or raises TurnLogMissingError."""
        ...

    async def read(self, turn_id: str) -> list[TurnEvent]:
        """Reads what is there now; nothing for a turn without a log."""
        ...

    async def delete(self, turn_id: str) -> None:
        """Forgets a turn. Readers get their end. Harmless when there is none."""
        ...

    async def expire(self, *, older_than_seconds: float) -> list[str]:
        """Forgets the turns that nobody writes and whose last event is older; returns their ids."""
        ...
