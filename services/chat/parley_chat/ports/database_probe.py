"""Whether the database does what it is for."""

from __future__ import annotations

from typing import Protocol


class DatabaseProbe(Protocol):
    """Tries the database."""

    async def write(self) -> None:
        """Makes a transaction that writes and changes nothing. Raises whatever keeps it from that."""
        ...
