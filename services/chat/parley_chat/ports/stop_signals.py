"""How one replica tells the others at once that a turn is to be stopped.

A signal may be lost: the wish is also stored (turn_ownership.py), and the owner looks there twice in the length of its lease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class StopSignals(Protocol):
    """Sends and hears signals."""

    async def send(self, turn_id: str) -> None:
        """Tells all replicas, this one too, that a turn is to be stopped. Never raises: a signal that cannot be sent is logged."""
        ...

    def listen(self, stop: Callable[[str], None]) -> None:
        """Calls `stop` with the turn's id for each signal from now on. `stop` must not block or raise."""
        ...
