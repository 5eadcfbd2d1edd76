"""How much there is to do, of all users and in all replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class QueueReport:
    """How much there is to do of one kind of work."""

    name: str
    """What, for example `turns`."""
    service: str
    """The service that does it."""
    waiting: int
    running: int


class WorkQueues(Protocol):
    """Counts work."""

    async def reports(self) -> Sequence[QueueReport]:
        """Counts what waits and what is worked on. None of a service that does not answer within a second; raises nothing for it."""
        ...
