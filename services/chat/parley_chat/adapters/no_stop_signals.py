"""Stop signals where there is no other replica: whoever is asked to stop a turn writes it."""

from __future__ import annotations

from collections.abc import Callable


class NoStopSignals:
    """Has nobody to tell and nothing to hear."""

    async def send(self, turn_id: str) -> None:
        """Tells nobody."""
        del turn_id

    def listen(self, stop: Callable[[str], None]) -> None:
        """Will never call."""
        del stop
