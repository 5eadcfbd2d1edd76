"""Where the events of turns are kept while somebody may still ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.turn import TurnEvent, TurnEventBody


class TurnLogMissingError(Exception):
    """There is no log of this turn: it expired, was deleted, or was never begun."""


class TurnLogFencedError(Exception):
    """Somebody else writes the turn now: the log was opened with a higher fence."""


class TurnLogReader(Protocol):
    """One reader's way through the log of one turn. Holds a place, not events."""

    @property
    def end_sequence(self) -> int:
        """The place of the last event of the log, as far as the reader knows; 0 for an empty log."""
        ...

    async def next(self) -> list[TurnEvent]:
        """Waits until there is something after the place, and returns it, at least one event, in order.

        Returns an empty list when nothing more will come from the writer that it followed: the log is gone, or was closed by a
        writer of this process; when nobody of this process writes a log that others may write, it waits for them. What piled
        up while the reader was away comes at once, within a bound, and is not merged. Cancelling it loses no event. Raises
        OSError when the log cannot be read now.
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
        """Gives the events the next places and keeps them, all or none; only then readers get them.

        Raises OSError when they cannot be kept, TurnLogFencedError when somebody else writes the turn now, and
        TurnLogMissingError when the log is gone.
        """
        ...

    async def close(self) -> None:
        """Says that no event will come from this writer. The readers of this process get what is there and then the end.

        It may be called twice, and raises nothing. Events that are kept stay so.
        """
        ...


class TurnLog(Protocol):
    """Keeps the events of many turns."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes read and write the same log. If not, no other process can take a turn over while this one lives."""
        ...

    async def begin(self, turn_id: str) -> TurnLogWriter:
        """Makes the log of a new turn and opens it to write, with fence 1. Raises OSError when it cannot be kept."""
        ...

    async def take_over(self, turn_id: str, fence: int) -> TurnLogWriter:
        """Opens the log to write behind its last whole event; who opened it with a lower fence can append no more.

        Raises TurnLogMissingError, and TurnLogFencedError when it was opened with a higher fence, or with the same one by
        somebody else.
        """
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
