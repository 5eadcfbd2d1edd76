"""What processes tell of themselves for the map of the system."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.traffic import ProcessReport


class ProcessReports(Protocol):
    """Knows what a process of one service said of itself."""

    def latest(self) -> ProcessReport | None:
        """What it said when it was asked last, for whatever else it was asked for; None when it did not answer. Asks nobody."""
        ...
