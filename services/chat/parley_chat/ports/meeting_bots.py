"""Where bots of meetings are kept: those of one user in a transaction of theirs, and whose turn it is over all users."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.meeting_bots import MeetingBot


class BotStore(Protocol):
    """The bots of one user, in the transaction of a workspace."""

    async def add(self, bot: MeetingBot) -> None:
        """Stores a new one, whose turn it is at once."""
        ...

    async def get(self, bot_id: str) -> MeetingBot:
        """One of them. Raises NotFoundError."""
        ...

    async def find(self, meeting_id: str, event_id: str) -> MeetingBot | None:
        """The one of a meeting, or else the one of all its series."""
        ...

    async def list(self, limit: int) -> Sequence[MeetingBot]:
        """The newest first."""
        ...

    async def count(self) -> int:
        """How many are not done."""
        ...

    async def put(self, bot: MeetingBot) -> None:
        """Writes one anew, takes it from whoever tends it, and lets it have its turn at once."""
        ...

    async def remove(self, bot_id: str) -> None:
        """Deletes one."""
        ...


@dataclass(frozen=True, slots=True)
class BotClaim:
    """A bot that one replica tends for a while."""

    user_id: str
    bot_id: str
    lease_id: str


class BotQueue(Protocol):
    """Whose turn it is. Replicas that ask together divide the bots among them."""

    async def behind(self, limit: int) -> Sequence[tuple[str, int]]:
        """Users with bots who have newer events than their bots know, and the place in the log that all of these know."""
        ...

    async def wake(self, user_id: str, event_ids: Collection[str], sequence: int) -> None:
        """Lets the bots of calendar events have their turn at once, and notes the place in the log that all of the user's know."""
        ...

    async def due(self, limit: int) -> Sequence[tuple[str, str]]:
        """User and bot, where it is a bot's turn and nobody tends it, those first that have waited longest."""
        ...

    async def seconds_to_next(self) -> float | None:
        """How long it is until the next turn; None when there is none."""
        ...

    async def claim(self, user_id: str, bot_id: str) -> BotClaim | None:
        """Takes a bot, for as long as a lease lasts; None when it is another's, or not due any more."""
        ...

    async def save(self, claim: BotClaim, bot: MeetingBot, wake_time: datetime | None) -> bool:
        """Writes a bot and when its next turn is, and gives it back; gives whether the claim still held, and writes nothing otherwise."""
        ...

    async def release(self, claim: BotClaim) -> None:
        """Gives it back as it was."""
        ...

    async def release_all(self) -> None:
        """Gives all back, whoever has them: for the start of a process that is the only one."""
        ...
