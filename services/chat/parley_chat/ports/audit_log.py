"""Where the audit trail is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from parley_chat.domain.audit import AuditEntry, AuditQuery


class AuditLog(Protocol):
    """Entries of the audit trail. What changes something that is stored is told by the port that stores it, in the same transaction."""

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Stores entries, folded into those that are there where their deed says so."""

    async def page(self, query: AuditQuery, *, limit: int, before: str) -> list[AuditEntry]:
        """Entries, newest first, at most `limit`, beginning after the one of this id; with the newest when it is empty."""

    async def forget(self, before: datetime, *, most: int) -> int:
        """Deletes at most so many entries that happened last before this time, and tells how many it deleted."""
