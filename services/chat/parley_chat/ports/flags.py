"""Where feature flags are kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from parley_chat.domain.audit import AuditEntry
from parley_chat.domain.flags import Flag, FlagSet


class FlagStore(Protocol):
    """The flags that are set, without those of the settings. A change is an event of the administrator who makes it, written in the
    transaction of the change, and so is an `entry` of the audit trail.
    """

    async def revision(self) -> int:
        """The revision of all flags. Cheap: asked often."""
        ...

    async def all(self) -> FlagSet:
        """All that are set."""
        ...

    async def put(
        self,
        user_id: str,
        name: str,
        expected_revision: int | None,
        wish: Callable[[Flag | None], Flag],
        now: datetime,
        entry: AuditEntry | None = None,
    ) -> Flag:
        """Makes or changes a flag in the name of a user: `wish` says, of what there is, what shall be. Gives what is.

        Nothing is written when it is so already. Raises FlagRevisionError and TooManyFlagsError.
        """
        ...

    async def remove(
        self, user_id: str, name: str, expected_revision: int | None, now: datetime, entry: AuditEntry | None = None
    ) -> None:
        """Removes a flag in the name of a user. Raises NotFoundError and FlagRevisionError."""
        ...
