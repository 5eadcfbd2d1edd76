"""When whose tasks remind them, over all users. The reminders themselves are in the workspace of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Reminders(Protocol):
    """The reminders that are to come, by a clock that all replicas share."""

    async def users(self, limit: int) -> Sequence[str]:
        """The users with reminders whose time has come, those first who have waited longest. At most `limit`."""
        ...

    async def seconds_to_next(self) -> float | None:
        """How long it is until the next reminder, 0 when its time has come; None when there is none."""
        ...
